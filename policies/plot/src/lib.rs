//! Draws how a policy behaves, and notices when a drawing is no longer what the policy does.
//!
//! Each policy's `tests/plot.rs` asks the policy itself, draws its answers, and hands the picture to [`stands`], which
//! compares it with the file beside the README, byte by byte. `BLESS=1 cargo test --test plot` writes the files anew.
//!
//! All coordinates are whole numbers, so that a picture is the same on every machine. What never lives here: anything
//! that a component contains, or knowledge of a policy.

mod axis;
mod bars;
mod lines;
mod table;

pub use axis::{Axis, milli};
pub use bars::{Group, bars};
pub use lines::{Line, lines};
pub use table::{Cell, table};

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordi64;
use plotters::prelude::{
    Cartesian2d, ChartContext, Color, DrawingArea, IntoDrawingArea, RGBColor, SVGBackend,
    SeriesLabelPosition, WHITE,
};
use std::path::{Path, PathBuf};

/// Width and height of a picture, in its own units.
const SIZE: (u32, u32) = (760, 380);

/// The letters of all texts.
const FONT: &str = "sans-serif";

/// Colours that people with colour-blindness tell apart (Okabe and Ito, 2008).
const COLOURS: [RGBColor; 5] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(90, 90, 90),
];

/// What plotters reports about a drawing that it keeps in memory, which never fails to be written.
type Drawn = Result<(), Box<dyn std::error::Error>>;

fn colour(index: usize) -> RGBColor {
    COLOURS
        .get(index % COLOURS.len())
        .copied()
        .unwrap_or(RGBColor(0, 0, 0))
}

/// Runs `draw` on a white picture and returns it as SVG, or the reason why there is none.
fn picture(size: (u32, u32), draw: impl FnOnce(&DrawingArea<SVGBackend<'_>, Shift>) -> Drawn) -> String {
    let mut svg = String::new();
    let drawn = {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        area.fill(&WHITE)
            .map_err(Into::into)
            .and_then(|()| draw(&area))
            .and_then(|()| area.present().map_err(Into::into))
    };
    match drawn {
        Ok(()) => svg,
        Err(error) => format!("<!-- not drawn: {error} -->\n"),
    }
}

/// A plane of whole numbers under way.
type Chart<'a> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<RangedCoordi64, RangedCoordi64>>;

/// Draws what the colours of the series mean.
fn legend(chart: &mut Chart<'_>) -> Drawn {
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .margin(8)
        .legend_area_size(24)
        .label_font((FONT, 14))
        .background_style(WHITE.mix(0.9))
        .border_style(RGBColor(200, 200, 200))
        .draw()?;
    Ok(())
}

/// Fails unless the file `name` in `folder`, which is a policy's `CARGO_MANIFEST_DIR`, holds `picture`; with `BLESS=1`
/// in the environment it writes the file instead.
#[allow(
    clippy::panic,
    reason = "this is an assertion for tests; components never contain it"
)]
pub fn stands(folder: &str, name: &str, picture: &str) {
    assert!(!picture.contains("not drawn"), "{picture}");
    let path: PathBuf = Path::new(folder).join(name);
    if std::env::var_os("BLESS").is_some() {
        if let Err(error) = std::fs::write(&path, picture) {
            panic!("cannot write {}: {error}", path.display());
        }
        return;
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == picture,
        "{} is not what the policy does: look at what changed, then run `BLESS=1 cargo test --test plot`",
        path.display()
    );
}
