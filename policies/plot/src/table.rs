//! Tables of answers, for policies that say yes or no.

use crate::{Drawn, FONT, picture};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// An answer: yes, or no with its code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// Allowed.
    Yes,
    /// Refused, with the code.
    No(String),
}

/// Behind a yes, behind a no, and the letters of a no.
const GREEN: RGBColor = RGBColor(0, 158, 115);
const SAND: RGBColor = RGBColor(240, 228, 216);
const RUST: RGBColor = RGBColor(150, 60, 0);

/// Heights and widths, in the picture's own units.
const ROW: i32 = 30;
const COLUMN: i32 = 118;
const NAMES: i32 = 232;
const HEAD: i32 = 92;

fn style(size: i32, colour: &'static RGBColor, across: HPos) -> TextStyle<'static> {
    TextStyle::from((FONT, size).into_font())
        .color(colour)
        .pos(Pos::new(across, VPos::Center))
}

/// Draws a table with the answer for every row and column.
pub fn table(title: &str, down: &str, across: &str, columns: &[&str], rows: &[(&str, Vec<Cell>)]) -> String {
    let length = |count: usize, each: i32| i32::try_from(count).unwrap_or(0).saturating_mul(each);
    let width = NAMES + length(columns.len(), COLUMN) + 16;
    let height = HEAD + length(rows.len(), ROW) + 16;
    let size = (width.unsigned_abs(), height.unsigned_abs());
    picture(size, |area| -> Drawn {
        area.draw_text(title, &style(20, &BLACK, HPos::Center), (width / 2, 22))?;
        area.draw_text(
            across,
            &style(14, &BLACK, HPos::Center),
            (NAMES + length(columns.len(), COLUMN) / 2, 50),
        )?;
        area.draw_text(down, &style(14, &BLACK, HPos::Right), (NAMES - 12, 76))?;
        for (at, name) in columns.iter().enumerate() {
            let x = NAMES + length(at, COLUMN) + COLUMN / 2;
            area.draw_text(name, &style(14, &BLACK, HPos::Center), (x, 76))?;
        }
        for (line, (name, cells)) in rows.iter().enumerate() {
            let y = HEAD + length(line, ROW);
            area.draw_text(name, &style(14, &BLACK, HPos::Right), (NAMES - 12, y + ROW / 2))?;
            for (at, cell) in cells.iter().enumerate() {
                let x = NAMES + length(at, COLUMN);
                let (fill, ink, text) = match cell {
                    Cell::Yes => (GREEN, &WHITE, "yes"),
                    Cell::No(code) => (SAND, &RUST, code.as_str()),
                };
                area.draw(&Rectangle::new(
                    [(x + 1, y + 1), (x + COLUMN - 1, y + ROW - 1)],
                    fill.filled(),
                ))?;
                let middle = (x + COLUMN / 2, y + ROW / 2);
                area.draw_text(text, &style(13, ink, HPos::Center), middle)?;
            }
        }
        Ok(())
    })
}
