//! The plot: effects with their intervals, and the e-value over looks.

mod effects_chart;
mod looks_chart;

use plotters::prelude::{IntoDrawingArea, IntoFont, RGBColor, SVGBackend, WHITE};
use plotters::style::TextStyle;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::report::Report;

const WIDTH: u32 = 960;
const HEAD_HEIGHT: u32 = 84;
const ROW_HEIGHT: u32 = 44;
const AXIS_HEIGHT: u32 = 56;
const LOOKS_HEIGHT: u32 = 380;
/// Room for the names on the left.
const NAMES_WIDTH: u32 = 230;

const BLUE: RGBColor = RGBColor(31, 97, 158);
const ORANGE: RGBColor = RGBColor(206, 112, 24);
const RED: RGBColor = RGBColor(186, 30, 30);
const GREY: RGBColor = RGBColor(120, 120, 120);

/// What goes wrong in drawing.
type DrawingError = Box<dyn std::error::Error>;
/// A part of the picture.
type Area<'a> = plotters::drawing::DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// The picture as SVG.
pub(super) fn svg(report: &Report) -> Result<String, DrawingError> {
    let comparisons: usize = report.metrics.iter().map(|metric| metric.treatments.len()).sum();
    let rows = u32::try_from(comparisons)?;
    let effects_height = HEAD_HEIGHT + AXIS_HEIGHT + ROW_HEIGHT * rows;
    let looks_height = if report.looks.is_empty() { 0 } else { LOOKS_HEIGHT };
    let mut picture = String::new();
    {
        let size = (WIDTH, effects_height + looks_height);
        let root = SVGBackend::with_string(&mut picture, size).into_drawing_area();
        root.fill(&WHITE)?;
        let (upper, lower) = root.split_vertically(effects_height);
        effects_chart::draw(report, &upper)?;
        if !report.looks.is_empty() {
            looks_chart::draw(report, &lower)?;
        }
        root.present()?;
    }
    Ok(picture)
}

/// A text in a font by its generic name: whoever shows the picture has one.
fn text(size: u32, color: RGBColor, horizontal: HPos) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&color).pos(Pos::new(horizontal, VPos::Center))
}

/// A number on an axis, without what rounding leaves of it.
fn tick(number: f64) -> String {
    let rounded = (number * 1e9).round() / 1e9;
    // Zero has no sign here.
    format!("{}", rounded + 0.0)
}

/// A name short enough for its place. Control characters have none in a picture.
fn shortened(name: &str, most: usize) -> String {
    let shown = name.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c });
    if name.chars().count() <= most { shown.collect() } else { shown.take(most).chain(['…']).collect() }
}
