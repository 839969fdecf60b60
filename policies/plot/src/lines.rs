//! Lines over a plane.

use crate::{Axis, Drawn, FONT, SIZE, colour, legend, picture};
use plotters::prelude::*;

/// One line of a plot.
#[derive(Debug, Clone)]
pub struct Line {
    label: String,
    points: Vec<(i64, i64)>,
    dashed: bool,
}

impl Line {
    /// A line through `points`, in the coordinates of the axes.
    pub fn new(label: &str, points: impl IntoIterator<Item = (i64, i64)>) -> Self {
        Self {
            label: label.to_owned(),
            points: points.into_iter().collect(),
            dashed: false,
        }
    }

    /// A line that stays at each point until the next one.
    pub fn steps(label: &str, points: impl IntoIterator<Item = (i64, i64)>) -> Self {
        let mut stepped: Vec<(i64, i64)> = Vec::new();
        for (x, y) in points {
            if let Some((_, before)) = stepped.last().copied() {
                stepped.push((x, before));
            }
            stepped.push((x, y));
        }
        Self::new(label, stepped)
    }

    /// A level line, dashed, from `start` to `end`.
    pub fn level(label: &str, start: i64, end: i64, at: i64) -> Self {
        Self {
            dashed: true,
            ..Self::new(label, [(start, at), (end, at)])
        }
    }
}

/// Draws `lines` over the plane of the two axes, with a legend.
pub fn lines(title: &str, across: &Axis, up: &Axis, lines: &[Line]) -> String {
    picture(SIZE, |area| -> Drawn {
        let mut chart = ChartBuilder::on(area)
            .caption(title, (FONT, 20))
            .margin(14)
            .x_label_area_size(42)
            .y_label_area_size(62)
            .build_cartesian_2d(across.range.clone(), up.range.clone())?;
        chart
            .configure_mesh()
            .x_desc(&across.label)
            .y_desc(&up.label)
            .x_labels(11)
            .y_labels(8)
            .max_light_lines(1)
            .x_label_formatter(&|at| across.text(*at))
            .y_label_formatter(&|at| up.text(*at))
            .label_style((FONT, 14))
            .axis_desc_style((FONT, 15))
            .draw()?;
        for (index, line) in lines.iter().enumerate() {
            let stroke = colour(index).stroke_width(2);
            let drawn = if line.dashed {
                chart.draw_series(DashedLineSeries::new(line.points.clone(), 6, 5, stroke))?
            } else {
                chart.draw_series(LineSeries::new(line.points.clone(), stroke))?
            };
            drawn
                .label(&line.label)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], stroke));
        }
        legend(&mut chart)
    })
}
