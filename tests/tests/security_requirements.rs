//! The list of security requirements is whole, and the tests that it names are there.

#![allow(clippy::expect_used)]

use std::{collections::BTreeSet, fs, path::Path};

const PAGE: &str = include_str!("../../docs/security-requirements.md");

/// How many requirements each section has: RFC 8725 §3, and the sections of ASVS 5.0.0.
const SECTIONS: [(&str, usize); 9] =
    [("§3", 12), ("7.1", 3), ("7.2", 4), ("7.3", 2), ("7.4", 5), ("7.5", 3), ("7.6", 2), ("9.1", 3), ("9.2", 4)];

/// The rows that are about a requirement, each with its number.
fn rows() -> impl Iterator<Item = (&'static str, &'static str)> {
    PAGE.lines().filter_map(|line| {
        let (number, _) = line.strip_prefix("| **")?.split_once("**")?;
        number.contains('.').then_some((number, line))
    })
}

/// The tests that a row names, as file and name.
fn tests(row: &str) -> impl Iterator<Item = (&str, &str)> {
    row.split('`').filter_map(|text| text.split_once(".rs::").map(|_| text)).filter_map(|text| text.split_once("::"))
}

#[test]
fn every_requirement_has_a_row() {
    let numbers: Vec<&str> = rows().map(|(number, _)| number).collect();
    let expected: Vec<String> =
        SECTIONS.iter().flat_map(|(section, count)| (1..=*count).map(move |n| format!("{section}.{n}"))).collect();
    assert_eq!(numbers, expected);
}

#[test]
fn every_row_names_a_test_or_says_why_there_is_none() {
    for (number, row) in rows() {
        let is_left_to_others = row.contains("| **Application.**");
        assert!(is_left_to_others || tests(row).next().is_some(), "{number} names no test");
    }
}

#[test]
fn the_tests_that_are_named_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package is in a folder");
    let named: BTreeSet<(&str, &str)> = PAGE.lines().flat_map(tests).collect();
    assert!(named.len() > 50, "the tests were found: {}", named.len());
    for (file, name) in named {
        let source = fs::read_to_string(root.join(file)).unwrap_or_default();
        assert!(source.contains(&format!("fn {name}(")), "there is no {name} in {file}");
    }
}
