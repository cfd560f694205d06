//! The run as a picture: four panels above one time axis, as SVG.

use std::fmt::Write as _;

use super::samples::Sample;

const WIDTH: f64 = 960.0;
const LEFT: f64 = 90.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 24.0;
const PANEL: f64 = 130.0;
const GAP: f64 = 36.0;
const BOTTOM: f64 = 44.0;

/// A curve: its name, its colour, its value.
type Curve = (&'static str, &'static str, fn(&Sample) -> f64);

/// What one panel shows.
struct Panel {
    title: &'static str,
    curves: &'static [Curve],
}

const PANELS: [Panel; 4] = [
    Panel {
        title: "thousand records/s",
        curves: &[
            ("sent to the topic", "#b8b8b8", |sample| {
                sample.sent_rate / 1e3
            }),
            ("taken by Alluvium", "#1f6fb4", |sample| {
                sample.taken_rate / 1e3
            }),
        ],
    },
    Panel {
        title: "lag, million records",
        curves: &[("sent and not taken", "#c0504d", |sample| sample.lag / 1e6)],
    },
    Panel {
        title: "latency, s",
        curves: &[(
            "age of the oldest record that is not committed",
            "#7a4fa3",
            |sample| sample.latency,
        )],
    },
    Panel {
        title: "memory, MB",
        curves: &[("resident", "#3a8f4d", |sample| sample.memory)],
    },
];

pub(super) fn svg(samples: &[Sample]) -> String {
    let height = TOP + PANELS.len() as f64 * (PANEL + GAP) - GAP + BOTTOM;
    let end = samples.last().map_or(1.0, |sample| sample.seconds);
    let mut out = String::new();
    write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    )
    .expect("text");
    for (number, panel) in PANELS.iter().enumerate() {
        let top = TOP + number as f64 * (PANEL + GAP);
        draw(&mut out, panel, samples, top, end);
    }
    time_axis(&mut out, height - BOTTOM, end);
    out.push_str("</svg>\n");
    out
}

fn x(seconds: f64, end: f64) -> f64 {
    LEFT + (WIDTH - LEFT - RIGHT) * seconds / end
}

fn draw(out: &mut String, panel: &Panel, samples: &[Sample], top: f64, end: f64) {
    let values = panel
        .curves
        .iter()
        .flat_map(|(_, _, of)| samples.iter().map(of));
    let greatest = values.fold(0.0, f64::max);
    let step = nice_step(greatest / 4.0);
    let limit = (greatest / step).ceil().max(1.0) * step;
    let y = |value: f64| top + PANEL * (1.0 - value / limit);
    for tick in 0..=(limit / step).round() as u32 {
        let value = f64::from(tick) * step;
        line(out, (LEFT, y(value)), (WIDTH - RIGHT, y(value)), "#e4e4e4");
        let number = text_of(value, step);
        text(out, (LEFT - 8.0, y(value) + 4.0), "end", "#333333", &number);
    }
    line(out, (LEFT, top), (LEFT, top + PANEL), "#888888");
    text(out, (LEFT, top - 8.0), "start", "#000000", panel.title);
    let mut at = WIDTH - RIGHT;
    for (name, colour, of) in panel.curves.iter().rev() {
        text(out, (at, top - 8.0), "end", colour, name);
        at -= 8.0 * name.len() as f64;
        curve(
            out,
            colour,
            samples.iter().map(|s| (x(s.seconds, end), y(of(s)))),
        );
    }
}

fn curve(out: &mut String, colour: &str, points: impl Iterator<Item = (f64, f64)>) {
    write!(
        out,
        "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.3\" points=\""
    )
    .expect("text");
    for (x, y) in points {
        write!(out, "{x:.1},{y:.1} ").expect("text");
    }
    out.push_str("\"/>\n");
}

fn time_axis(out: &mut String, y: f64, end: f64) {
    // Minutes, unless there are few.
    let (unit, name) = if end > 300.0 {
        (60.0, "minutes")
    } else {
        (1.0, "seconds")
    };
    let step = nice_step(end / unit / 8.0) * unit;
    line(out, (LEFT, y), (WIDTH - RIGHT, y), "#888888");
    let mut tick = 0.0;
    while tick <= end {
        let at = x(tick, end);
        line(out, (at, y), (at, y + 5.0), "#888888");
        let number = text_of(tick / unit, step / unit);
        text(out, (at, y + 19.0), "middle", "#333333", &number);
        tick += step;
    }
    text(
        out,
        (x(end / 2.0, end), y + 36.0),
        "middle",
        "#000000",
        name,
    );
}

fn line(out: &mut String, (x1, y1): (f64, f64), (x2, y2): (f64, f64), colour: &str) {
    writeln!(
        out,
        "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{colour}\"/>"
    )
    .expect("text");
}

fn text(out: &mut String, (x, y): (f64, f64), anchor: &str, colour: &str, text: &str) {
    writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{colour}\">{text}</text>"
    )
    .expect("text");
}

/// The least of 1, 2, 5, 10, 20, … (or tenths of them) that is not below `least`.
fn nice_step(least: f64) -> f64 {
    if least <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(least.log10().floor());
    let factor = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|factor| factor * power >= least);
    factor.unwrap_or(10.0) * power
}

fn text_of(value: f64, step: f64) -> String {
    let decimals = (-step.log10().floor()).max(0.0) as usize;
    format!("{value:.decimals$}")
}
