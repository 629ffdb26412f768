"""Lets schemathesis in: it sends a token that is valid, and every other login has the right password."""

import base64
import itertools

import requests
import schemathesis
from schemathesis import GenerationMode

USER = {"username": "alice", "password": "wonderland"}
CLIENT = "orders:the secret of the client"
# In seconds.
TIMEOUT = 60


def log_in(base):
    answer = requests.post(f"{base}/get_token", json=USER, timeout=TIMEOUT)
    answer.raise_for_status()
    return answer.json()["access_token"]


def base_of(case):
    return case.operation.base_url.rstrip("/")


@schemathesis.auth(refresh_interval=None)
class Token:
    """That of a session. A logout ends it, and so does a request some seconds after its rotation."""

    current = None

    def get(self, case, context):
        base, headers = base_of(case), {"Authorization": f"Bearer {Token.current}"}
        if requests.get(f"{base}/verify", headers=headers, timeout=TIMEOUT).status_code != 204:
            Token.current = log_in(base)
        return Token.current

    def set(self, case, token, context):
        if case.path in ("/introspect", "/revoke"):
            value = "Basic " + base64.b64encode(CLIENT.encode()).decode()
        else:
            value = f"Bearer {token}"
        case.headers = {**(case.headers or {}), "Authorization": value}


counter = itertools.count()


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.path == "/login":
        # What a browser says of a page of the server's own.
        case.headers = {**(case.headers or {}), "Sec-Fetch-Site": "same-origin"}
    is_valid = case.meta is not None and case.meta.generation.mode == GenerationMode.POSITIVE
    if not (is_valid and isinstance(case.body, dict) and next(counter) % 2):
        return
    if case.path in ("/get_token", "/login"):
        case.body = {**case.body, **USER}
    elif case.path in ("/introspect", "/revoke"):
        case.body = {**case.body, "token": log_in(base_of(case))}
