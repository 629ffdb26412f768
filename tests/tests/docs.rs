//! What the guide quotes is what is there. Its code blocks are compiled as doctests of this package.

#![allow(clippy::expect_used)]

use jwt_knox_http::ProblemCode;

/// The adapter that the guide explains is the one that passes the contract suite.
#[test]
fn the_guide_quotes_the_hyper_adapter() {
    let guide = include_str!("../../docs/writing-an-adapter.md");
    let adapter = include_str!("../../examples/adapter-hyper/src/lib.rs");
    let code = &adapter[adapter.find("use ").unwrap_or_default()..];
    assert!(
        guide.contains(code.trim_end()),
        "docs/writing-an-adapter.md must quote examples/adapter-hyper/src/lib.rs as it is"
    );
}

/// The store that the guide explains is the one that passes the conformance kit, and the guide leaves nothing out.
#[test]
fn the_guide_quotes_the_redb_store() {
    let guide = include_str!("../../docs/custom-store.md");
    let store = include_str!("../../examples/store-redb/src/lib.rs");
    let code = &store[store.find("use ").unwrap_or_default()..];
    let quoted: Vec<&str> =
        guide.split("```rust,ignore\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(
        quoted.join("\n"),
        code,
        "the blocks of docs/custom-store.md, put together, must be examples/store-redb/src/lib.rs"
    );
}

/// What the guide shows of CORS, uploads and documents is what `tests/cors.rs`, `tests/uploads.rs` and
/// `tests/openapi.rs` run.
#[test]
fn the_guide_quotes_the_code_of_the_tests() {
    macro_rules! quoted {
        ($page:literal quotes $($file:literal)*) => {
            [$(($page, include_str!(concat!("../../docs/", $page)), $file, include_str!($file))),*]
        };
    }
    let cors = quoted!("browsers.md" quotes "cors/on_axum.rs" "cors/on_actix.rs" "cors/on_rocket.rs");
    let uploads =
        quoted!("choosing-an-adapter.md" quotes "uploads/on_axum.rs" "uploads/on_actix.rs" "uploads/on_rocket.rs");
    let openapi = quoted!("http-api.md" quotes "openapi/on_axum.rs" "openapi/on_actix.rs" "openapi/on_rocket.rs");
    for (page, guide, file, text) in cors.into_iter().chain(uploads).chain(openapi) {
        let code = &text[text.find("use ").unwrap_or_default()..];
        let block = format!("```rust\n{}\n```\n", code.trim_end());
        assert!(guide.contains(&block), "docs/{page} must quote tests/tests/{file} as it is");
    }
}

/// The files for proxies in the guide are those that are tested.
#[test]
fn the_guide_quotes_the_files_for_proxies() {
    let guide = include_str!("../../docs/proxies.md");
    for (language, file) in [
        ("nginx", include_str!("../../examples/behind-proxy/nginx.conf")),
        ("caddyfile", include_str!("../../examples/behind-proxy/Caddyfile")),
        ("haproxy", include_str!("../../examples/behind-proxy/haproxy.cfg")),
        ("lua", include_str!("../../examples/behind-proxy/forward_auth.lua")),
        ("yaml", include_str!("../../examples/behind-proxy/traefik.yaml")),
        ("yaml", include_str!("../../examples/behind-proxy/routes.yaml")),
        ("yaml", include_str!("../../examples/behind-proxy/envoy.yaml")),
    ] {
        assert!(
            guide.contains(&format!("```{language}\n{file}```\n")),
            "docs/proxies.md must quote the file in {language} of examples/behind-proxy as it is"
        );
    }
}

/// The guide lists every code of a problem, with its status, and no other.
#[test]
fn the_guide_lists_the_problem_codes() {
    let guide = include_str!("../../docs/http-api.md");
    let section = guide.split("## Problem codes").nth(1).and_then(|rest| rest.split("\n\n").nth(1));
    let listed: Vec<(&str, &str)> = section
        .expect("the section is there")
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "))
        .map(|(code, rest)| (code, rest.split(' ').next().unwrap_or_default()))
        .collect();
    let codes: Vec<_> = ProblemCode::ALL.iter().map(|code| (code.as_str(), code.status().to_string())).collect();
    let codes: Vec<_> = codes.iter().map(|(code, status)| (*code, status.as_str())).collect();
    assert_eq!(listed, codes);
}

/// Every file that a page links to exists.
#[test]
fn links_lead_somewhere() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package is in a folder");
    let mut pages = vec![root.to_path_buf(), root.join("docs")];
    let mut links = 0;
    while let Some(folder) = pages.pop() {
        for entry in std::fs::read_dir(&folder).expect("the folder is there").flatten() {
            let path = entry.path();
            if path.extension().is_none_or(|extension| extension != "md") {
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("the page is text");
            for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                let target = link.split('#').next().unwrap_or_default();
                if target.is_empty() || target.contains("://") || target.contains(' ') {
                    continue;
                }
                links += 1;
                assert!(folder.join(target).exists(), "{} links to {link}", path.display());
            }
        }
    }
    assert!(links > 20, "the links were found");
}

/// The page lists every event and span of the log, so that an alert can be built on it.
#[test]
fn the_operations_page_lists_what_is_logged() {
    let page = include_str!("../../docs/operations.md");
    let section = page.split("\n## ").find(|section| section.starts_with("Logs\n")).expect("the section is there");
    let logged = sources().flat_map(|source| logged(&source)).collect::<std::collections::BTreeSet<_>>();
    assert!(logged.len() > 40, "{logged:?}");
    let missing: Vec<_> = logged.iter().filter(|text| !section.contains(*text)).collect();
    assert!(missing.is_empty(), "docs/operations.md must list {missing:#?}");
}

/// The crates' source files.
fn sources() -> impl Iterator<Item = String> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package is in a folder");
    let mut folders = vec![root.join("crates")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(&folder).expect("the folder is there").flatten().map(|entry| entry.path()) {
            if path.is_dir() && !path.ends_with("tests") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.into_iter().map(|path| std::fs::read_to_string(path).expect("the file is text"))
}

/// The messages of events and the names of spans in a source file, up to what is filled in.
fn logged(source: &str) -> Vec<String> {
    let messages = source.split("tracing::").skip(1).filter_map(|rest| {
        let (level, rest) = rest.split_once("!(")?;
        ["error", "warn", "info", "debug", "trace"].contains(&level).then_some(())?;
        rest.split(");").next()?.rsplit('"').nth(1)
    });
    let spans = source.split('"').filter(|text| text.starts_with("knox."));
    messages.chain(spans).map(|text| text.split('{').next().unwrap_or_default().to_owned()).collect()
}
