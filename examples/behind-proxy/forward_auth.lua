-- Asks jwt-knox who sends a request. Sets `txn.authenticated` if it may pass, or answers the client.

local AUTH = "http://127.0.0.1:3000/forward_auth"
local IDENTITY = { "x-auth-subject", "x-auth-session", "x-auth-scope" }

-- What is about the connection to the client (RFC 9110 §7.6.1) or about its body, which is not sent.
local DROPPED = {
    ["connection"] = true, ["content-length"] = true, ["expect"] = true, ["keep-alive"] = true,
    ["proxy-connection"] = true, ["te"] = true, ["trailer"] = true, ["transfer-encoding"] = true, ["upgrade"] = true,
}

-- HAProxy counts the values of a header from 0.
local function list(values)
    local all = {}
    for index = 0, #values do
        all[#all + 1] = values[index]
    end
    return all
end

local function ask(txn)
    local headers = {}
    for name, values in pairs(txn.http:req_get_headers()) do
        if not DROPPED[name] then
            headers[name] = list(values)
        end
    end
    headers["x-forwarded-method"] = { txn.sf:method() }
    local query = txn:get_var("txn.auth_query") or ""
    -- In milliseconds; HAProxy tries four times. jwt-knox gives up on its store after 5 seconds.
    return core.httpclient():get({ url = AUTH .. "?" .. query, headers = headers, timeout = 6000 })
end

-- The first value of a header of the answer.
local function value(answer, name)
    local values = answer.headers and answer.headers[name]
    return values and values[0]
end

-- Passes a rejection on, and takes all else for a failure: an answer that jwt-knox does not give, or none.
local function reject(txn, answer)
    local reply = txn:reply()
    if answer.status == 401 or answer.status == 403 or answer.status == 503 then
        reply:set_status(answer.status)
        for _, name in ipairs({ "cache-control", "content-type", "retry-after", "www-authenticate" }) do
            if value(answer, name) then
                reply:add_header(name, value(answer, name))
            end
        end
        reply:set_body(answer.body)
    else
        reply:set_status(503)
        reply:add_header("cache-control", "no-store")
        reply:add_header("retry-after", "5")
    end
    txn:done(reply)
end

core.register_action("forward_auth", { "http-req" }, function(txn)
    local answer = ask(txn)
    if answer.status ~= 200 then
        reject(txn, answer)
        return
    end
    for _, name in ipairs(IDENTITY) do
        if value(answer, name) then
            txn.http:req_set_header(name, value(answer, name))
        end
    end
    txn:set_var("txn.authenticated", true)
end, 0)
