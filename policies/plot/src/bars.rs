//! Bars side by side, in groups.

use crate::{Axis, Drawn, FONT, SIZE, colour, legend, picture};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Bars that stand together under one name, one for each series.
#[derive(Debug, Clone)]
pub struct Group {
    name: String,
    heights: Vec<i64>,
}

impl Group {
    /// A group of bars.
    pub fn new(name: &str, heights: impl IntoIterator<Item = i64>) -> Self {
        Self {
            name: name.to_owned(),
            heights: heights.into_iter().collect(),
        }
    }
}

/// Coordinates across that a group takes, and the gap on each side of its bars.
const GROUP: i64 = 100;
const GAP: i64 = 14;

/// Draws a group of bars for each of `groups`; the bars of each are the `series` in order.
pub fn bars(title: &str, across: &str, up: &Axis, series: &[&str], groups: &[Group]) -> String {
    let ends = |count: usize| i64::try_from(count).unwrap_or(0).saturating_mul(GROUP);
    let width = (GROUP - 2 * GAP)
        .checked_div(i64::try_from(series.len()).unwrap_or(1))
        .unwrap_or(1);
    picture(SIZE, |area| -> Drawn {
        let mut chart = ChartBuilder::on(area)
            .caption(title, (FONT, 20))
            .margin(14)
            .x_label_area_size(42)
            .y_label_area_size(62)
            .build_cartesian_2d(0..ends(groups.len()), up.range.clone())?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .x_labels(2)
            .x_label_formatter(&|_| String::new())
            .x_desc(across)
            .y_desc(&up.label)
            .y_labels(8)
            .max_light_lines(1)
            .y_label_formatter(&|at| up.text(*at))
            .label_style((FONT, 14))
            .axis_desc_style((FONT, 15))
            .draw()?;
        for (at, name) in series.iter().enumerate() {
            let offset = GAP + width.saturating_mul(i64::try_from(at).unwrap_or(0));
            let fill = colour(at).filled();
            let boxes = groups.iter().enumerate().filter_map(|(group, bars)| {
                let left = ends(group) + offset;
                let height = *bars.heights.get(at)?;
                Some(Rectangle::new([(left, 0), (left + width - 3, height)], fill))
            });
            chart
                .draw_series(boxes)?
                .label(*name)
                .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 12, y + 5)], fill));
        }
        let style = (FONT, 14).into_font().color(&BLACK);
        let centred = style.pos(Pos::new(HPos::Center, VPos::Top));
        for (group, bars) in groups.iter().enumerate() {
            let (x, y) = chart.backend_coord(&(ends(group) + GROUP / 2, up.range.start));
            area.draw_text(&bars.name, &centred, (x, y + 6))?;
        }
        legend(&mut chart)
    })
}
