//! Prints what the benchmarks of this package have measured, as tables in Markdown, and draws the plots of
//! `docs/performance.md`. Run it after `cargo bench -p jwt-knox-benches`.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{
    collections::BTreeMap,
    error::Error,
    fs,
    path::{Path, PathBuf},
};

use plotters::{
    coord::Shift,
    prelude::{
        BLACK, ChartBuilder, Color, DrawingArea, IntoDrawingArea, IntoFont, IntoLogRange, LineSeries, PathElement,
        RGBColor, Rectangle, SVGBackend, Text, WHITE,
    },
    style::TextStyle,
    style::text_anchor::{HPos, Pos, VPos},
};
use serde_json::Value;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// The groups of benchmarks, in the order of the page, and of each the one that the others are compared with.
const GROUPS: [(&str, &str); 10] = [
    ("HS256", "jsonwebtoken decode"),
    ("algorithms", "hot/HS256"),
    ("Axum", "bare"),
    ("Actix Web", "bare"),
    ("Rocket", "bare"),
    ("verify", "max_age/memory"),
    ("a request at a service", "unguarded"),
    ("a logout on another server", "Redis"),
    ("sessions in the store", "1"),
    ("sessions of one subject", "1"),
];

const BLUE: RGBColor = RGBColor(0x2f, 0x6f, 0xb0);
const GRAY: RGBColor = RGBColor(0x9a, 0x9a, 0x9a);
const ORANGE: RGBColor = RGBColor(0xd0, 0x7a, 0x1c);

/// Medians in nanoseconds, by group and name.
type Medians = BTreeMap<String, BTreeMap<String, f64>>;

fn main() -> Outcome {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), PathBuf::from);
    let mut medians = Medians::new();
    read(&target.join("criterion"), &mut medians)?;
    for (group, base) in GROUPS {
        let Some(of_group) = medians.get(group) else { continue };
        table(group, of_group, base);
    }
    if let Some(checks) = medians.get("HS256") {
        draw_checks(checks, &workspace.join("docs/performance-check.svg"))?;
    }
    if let (Some(all), Some(of_one)) = (medians.get("sessions in the store"), medians.get("sessions of one subject")) {
        draw_sessions(all, of_one, &workspace.join("docs/performance-sessions.svg"))?;
    }
    Ok(())
}

/// Reads what Criterion has written into `folder`, and the folders in it.
fn read(folder: &Path, medians: &mut Medians) -> Outcome {
    let json = |name: &str| -> Outcome<Value> { Ok(serde_json::from_slice(&fs::read(folder.join(name))?)?) };
    if folder.file_name().is_some_and(|name| name == "new") {
        let (benchmark, estimates) = (json("benchmark.json")?, json("estimates.json")?);
        let part = |name: &str| benchmark[name].as_str();
        let name = [part("function_id"), part("value_str")].into_iter().flatten().collect::<Vec<_>>().join("/");
        let median = estimates["median"]["point_estimate"].as_f64().ok_or("no median")?;
        let group = part("group_id").ok_or("no group")?;
        medians.entry(group.to_owned()).or_default().insert(name, median);
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            read(&path, medians)?;
        }
    }
    Ok(())
}

/// Prints the times of a group, with their ratio to the one that is called `base`: in the order of their numbers, or
/// fastest first.
fn table(group: &str, medians: &BTreeMap<String, f64>, base: &str) {
    println!("| {group} | ns | of `{base}` |\n|---|---|---|");
    let base = medians.get(base).copied();
    let mut rows: Vec<_> = medians.iter().collect();
    let number = |name: &str| name.parse::<u64>().ok();
    rows.sort_by(|(a, time), (b, other)| number(a).cmp(&number(b)).then(time.total_cmp(other)));
    for (name, median) in rows {
        let ratio = base.map_or_else(String::new, |base| format!("{:.2}", median / base));
        println!("| {name} | {median:.0} | {ratio} |");
    }
    println!();
}

/// One check in one process, as bars: how many times what `jsonwebtoken` takes.
fn draw_checks(medians: &BTreeMap<String, f64>, file: &Path) -> Outcome {
    let base = medians.get("jsonwebtoken decode").ok_or("jsonwebtoken was not measured")?;
    let mut bars: Vec<_> = medians.iter().filter(|(name, _)| !name.contains("wrong")).collect();
    bars.sort_by(|(_, a), (_, b)| a.total_cmp(b));
    let (width, row) = (760, 34);
    let area = canvas(file, (width, 60 + row * u32::try_from(bars.len())?))?;
    let right = TextStyle::from(font(14)).color(&BLACK).pos(Pos::new(HPos::Right, VPos::Center));
    let left = TextStyle::from(font(14)).color(&BLACK).pos(Pos::new(HPos::Left, VPos::Center));
    area.draw(&Text::new("One check, HS256: time as a multiple of jsonwebtoken's decode", (20, 24), left.clone()))?;
    let longest = bars.last().map_or(1.0, |(_, median)| **median / base);
    for ((name, median), index) in bars.into_iter().zip(0_i32..) {
        let (top, ratio) = (48 + index * 34, median / base);
        let end = 250 + (ratio / longest * 420.0) as i32;
        let color = if name.starts_with("Knox") { BLUE } else { GRAY };
        area.draw(&Text::new(name.clone(), (240, top + 11), right.clone()))?;
        area.draw(&Rectangle::new([(250, top), (end, top + 22)], color.filled()))?;
        area.draw(&Text::new(format!("{ratio:.2}"), (end + 8, top + 11), left.clone()))?;
    }
    Ok(area.present()?)
}

/// The time of a check over the number of sessions, as lines.
fn draw_sessions(all: &BTreeMap<String, f64>, of_one: &BTreeMap<String, f64>, file: &Path) -> Outcome {
    let area = canvas(file, (760, 380))?;
    let points = |medians: &BTreeMap<String, f64>| -> Outcome<Vec<(f64, f64)>> {
        let mut points: Vec<(f64, f64)> = Vec::new();
        for (count, median) in medians {
            points.push((count.parse()?, *median));
        }
        points.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        Ok(points)
    };
    let series = [("one per subject", points(all)?, BLUE), ("all of one subject", points(of_one)?, ORANGE)];
    let top = series.iter().flat_map(|(_, points, _)| points).map(|(_, time)| *time).fold(0.0, f64::max) * 1.3;
    let mut chart = ChartBuilder::on(&area)
        .caption("A check, HS256, by the number of sessions in memory", font(16))
        .margin(16)
        .margin_right(44)
        .x_label_area_size(44)
        .y_label_area_size(70)
        .build_cartesian_2d((1.0..1e6).log_scale(), 0.0..top)?;
    chart
        .configure_mesh()
        .x_desc("sessions")
        .y_desc("nanoseconds")
        .label_style(font(13))
        .axis_desc_style(font(13))
        .x_label_formatter(&|count| format!("{count:.0}"))
        .y_label_formatter(&|time| format!("{time:.0}"))
        .light_line_style(WHITE)
        .draw()?;
    for (name, points, color) in series {
        chart
            .draw_series(LineSeries::new(points, color.stroke_width(3)).point_size(4))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(3)));
    }
    chart.configure_series_labels().label_font(font(13)).background_style(WHITE).border_style(GRAY).draw()?;
    Ok(area.present()?)
}

fn canvas(file: &Path, size: (u32, u32)) -> Outcome<DrawingArea<SVGBackend<'_>, Shift>> {
    let area = SVGBackend::new(file, size).into_drawing_area();
    area.fill(&WHITE)?;
    Ok(area)
}

fn font(size: i32) -> plotters::style::FontDesc<'static> {
    ("sans-serif", size).into_font()
}
