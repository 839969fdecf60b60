//! Plots as SVG, coloured by the page they stand on.

use super::report::Slot;
use super::stats::{Histogram, nice};
use super::time;
use core::fmt::Write;

/// Width and height of a plot, in units that are pixels on a wide screen.
const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 240.0;
/// Room around the axes.
const LEFT: f64 = 52.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 30.0;

/// A number in few characters: `0.25`, `12.5`, `3400`, `12k`, `1.5M`.
pub(super) fn short(value: f64) -> String {
    let size = value.abs();
    let (value, unit) = match size {
        _ if size >= 1e15 => return format!("{value:.1e}"),
        _ if size >= 1e9 => (value / 1e9, "G"),
        _ if size >= 1e6 => (value / 1e6, "M"),
        _ if size >= 1e4 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let digits = match value.abs() {
        size if size >= 100.0 || size == 0.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        size if size >= 0.01 => 4,
        _ => 6,
    };
    let mut text = format!("{value:.digits$}");
    if text.contains('.') {
        text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
    }
    text.push_str(unit);
    text
}

/// From values to places on the paper.
struct Axes {
    x: (f64, f64),
    y: (f64, f64),
}

impl Axes {
    fn x(&self, value: f64) -> f64 {
        let (low, high) = self.x;
        LEFT + (WIDTH - LEFT - RIGHT) * ((value - low) / (high - low).max(f64::MIN_POSITIVE)).clamp(0.0, 1.0)
    }

    fn y(&self, value: f64) -> f64 {
        let (low, high) = self.y;
        let part = ((value - low) / (high - low).max(f64::MIN_POSITIVE)).clamp(0.0, 1.0);
        HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * part
    }

    /// Lines across the paper at round values, each with its number.
    fn rules(&self, svg: &mut String) {
        let (low, high) = self.y;
        let step = nice((high - low) / 4.0);
        for tick in ticks(low, high, step) {
            let y = self.y(tick);
            let _ = write!(
                svg,
                r#"<line class="grid" x1="{LEFT}" x2="{}" y1="{y:.1}" y2="{y:.1}"/><text x="{}" y="{:.1}" text-anchor="end">{}</text>"#,
                WIDTH - RIGHT,
                LEFT - 6.0,
                y + 4.0,
                short(tick)
            );
        }
    }

    /// A label under the axis.
    fn label(&self, svg: &mut String, value: f64, text: &str) {
        let x = self.x(value);
        // A label at either end would stick out.
        let anchor = if x > WIDTH - 60.0 {
            "end"
        } else if x < LEFT + 20.0 {
            "start"
        } else {
            "middle"
        };
        let _ = write!(
            svg,
            r#"<text x="{x:.1}" y="{}" text-anchor="{anchor}">{text}</text>"#,
            HEIGHT - 9.0
        );
    }
}

/// Multiples of `step` from `low` to `high`, never too many to draw.
fn ticks(low: f64, high: f64, step: f64) -> Vec<f64> {
    const MOST: usize = 12;
    let first = (low / step).ceil();
    (0..MOST)
        .map(|index| (first + index as f64) * step)
        .take_while(|tick| *tick <= high + step * 1e-6)
        .collect()
}

fn open(label: &str) -> String {
    format!(r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">"#)
}

/// How prices lie: the old ones filled, the new ones as an outline over them.
pub(super) fn histogram(histogram: &Histogram) -> String {
    let most = histogram
        .old
        .iter()
        .chain(&histogram.new)
        .copied()
        .max()
        .unwrap_or(0);
    let (Some(first), Some(last)) = (histogram.edges.first(), histogram.edges.last()) else {
        return String::new();
    };
    let axes = Axes {
        x: (*first, *last),
        y: (0.0, most.max(1) as f64),
    };
    let mut svg = open("Decisions by price, old and new");
    axes.rules(&mut svg);
    let mut outline = String::new();
    let bins = histogram
        .edges
        .windows(2)
        .zip(histogram.old.iter().zip(&histogram.new));
    for (edges, (old, new)) in bins {
        let &[from, to] = edges else { continue };
        let (x1, x2) = (axes.x(from), axes.x(to));
        let (old_y, new_y, floor) = (axes.y(*old as f64), axes.y(*new as f64), axes.y(0.0));
        let _ = write!(
            svg,
            r#"<g><title>{} to {}: {old} before, {new} now</title><rect class="old-fill" x="{:.1}" y="{old_y:.1}" width="{:.1}" height="{:.1}"/><rect class="new-fill" x="{x1:.1}" y="{new_y:.1}" width="{:.1}" height="{:.1}"/></g>"#,
            short(from),
            short(to),
            x1 + 0.5,
            (x2 - x1 - 1.0).max(0.5),
            (floor - old_y).max(0.0),
            x2 - x1,
            (floor - new_y).max(0.0),
        );
        let step = if outline.is_empty() {
            format!("M{x1:.1} {floor:.1}")
        } else {
            String::new()
        };
        let _ = write!(outline, "{step}V{new_y:.1}H{x2:.1}");
    }
    let _ = write!(outline, "V{:.1}", axes.y(0.0));
    let _ = write!(svg, r#"<path class="new-line" d="{outline}"/>"#);
    let step = nice((last - first) / 5.0);
    for tick in ticks(*first, *last, step) {
        axes.label(&mut svg, tick, &short(tick));
    }
    svg.push_str("</svg>");
    svg
}

/// Two lines over the time of the log; gaps where there is no value.
pub(super) fn over_time(
    slots: &[Slot],
    label: &str,
    old: impl Fn(&Slot) -> Option<f64>,
    new: impl Fn(&Slot) -> Option<f64>,
) -> String {
    let values = || slots.iter().flat_map(|slot| [old(slot), new(slot)]).flatten();
    let high = values().fold(0.0, f64::max);
    let low = values().fold(f64::INFINITY, f64::min);
    let (Some(first), Some(last)) = (slots.first(), slots.last()) else {
        return String::new();
    };
    // Prices that hardly move would be a flat line if the axis began at nothing.
    let low = if low.is_finite() && low > high * 0.5 {
        low * 0.9
    } else {
        0.0
    };
    let axes = Axes {
        x: (first.at_ns as f64, last.at_ns as f64),
        y: (low, if high > low { high * 1.04 } else { low + 1.0 }),
    };
    let mut svg = open(label);
    axes.rules(&mut svg);
    line(&mut svg, &axes, slots, "old", &old);
    line(&mut svg, &axes, slots, "new", &new);
    for slot in slots {
        let show = |value: Option<f64>| value.map_or_else(|| "none".to_owned(), short);
        let x = axes.x(slot.at_ns as f64);
        let _ = write!(
            svg,
            r#"<rect x="{:.1}" y="{TOP}" width="7" height="{}" fill-opacity="0"><title>{} UTC: {} before, {} now</title></rect>"#,
            x - 3.5,
            HEIGHT - TOP - BOTTOM,
            time::show(slot.at_ns),
            show(old(slot)),
            show(new(slot)),
        );
    }
    let day = |at: u64| time::show(at).get(..10).unwrap_or_default().to_owned();
    let same_day = day(first.at_ns) == day(last.at_ns);
    let text = |at: u64| {
        let shown = time::show(at);
        let part = if same_day {
            shown.get(11..16)
        } else {
            shown.get(5..16)
        };
        part.unwrap_or_default().to_owned()
    };
    axes.label(&mut svg, first.at_ns as f64, &text(first.at_ns));
    if last.at_ns > first.at_ns {
        let middle = first.at_ns + (last.at_ns - first.at_ns) / 2;
        axes.label(&mut svg, middle as f64, &text(middle));
        axes.label(&mut svg, last.at_ns as f64, &text(last.at_ns));
    }
    svg.push_str("</svg>");
    svg
}

fn line(svg: &mut String, axes: &Axes, slots: &[Slot], side: &str, value: &impl Fn(&Slot) -> Option<f64>) {
    let mut path = String::new();
    let mut drawing = false;
    let mut dots = String::new();
    for (index, slot) in slots.iter().enumerate() {
        let Some(at) = value(slot) else {
            drawing = false;
            continue;
        };
        let (x, y) = (axes.x(slot.at_ns as f64), axes.y(at));
        let next = slots.get(index.saturating_add(1)).and_then(value);
        // A value with gaps around it would not show as a line.
        if !drawing && next.is_none() {
            let _ = write!(
                dots,
                r#"<circle class="{side}-dot" cx="{x:.1}" cy="{y:.1}" r="2.5"/>"#
            );
        }
        let _ = write!(path, "{}{x:.1} {y:.1}", if drawing { 'L' } else { 'M' });
        drawing = true;
    }
    let _ = write!(svg, r#"<path class="{side}-line" d="{path}"/>{dots}"#);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_still_right() {
        for (value, text) in [
            (0.0, "0"),
            (0.25, "0.25"),
            (12.5, "12.5"),
            (10.0, "10"),
            (3400.0, "3400"),
            (100.0, "100"),
            (12_345.0, "12.3k"),
            (1_500_000.0, "1.5M"),
            (-2.5, "-2.5"),
            (1e59, "1.0e59"),
        ] {
            assert_eq!(short(value), text);
        }
    }

    #[test]
    fn axes_have_few_round_ticks_whatever_the_values() {
        assert_eq!(ticks(0.0, 10.0, 2.5), [0.0, 2.5, 5.0, 7.5, 10.0]);
        assert!(ticks(0.0, 1e59, nice(2.5e58)).len() <= 12);
        assert!(ticks(9.99, 10.0, nice(0.0025)).len() <= 12);
    }

    #[test]
    fn a_plot_has_no_number_that_is_none() {
        let slots = |values: &[Option<f64>]| {
            values
                .iter()
                .enumerate()
                .map(|(at, value)| Slot {
                    at_ns: at as u64,
                    old_price: *value,
                    new_price: *value,
                    ..Slot::default()
                })
                .collect::<Vec<_>>()
        };
        for values in [
            vec![],
            vec![None],
            vec![Some(0.0)],
            vec![Some(1e59), None, Some(0.0), Some(3.0)],
            vec![Some(5.0), Some(5.0)],
        ] {
            let svg = over_time(&slots(&values), "x", |slot| slot.old_price, |slot| slot.new_price);
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
        let flat = Histogram::of(&[0.0, 0.0], &[]).unwrap();
        let svg = histogram(&flat);
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}
