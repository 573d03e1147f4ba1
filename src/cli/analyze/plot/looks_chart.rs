//! The launch-level e-value over looks, on a logarithmic scale.

use plotters::prelude::{ChartBuilder, Circle, Color, PathElement, RGBColor, Text};
use plotters::style::text_anchor::HPos;

use super::{Area, BLUE, DrawingError, GREY, NAMES_WIDTH, ORANGE, RED, text, tick};
use crate::cli::analyze::look_report::LookReport;
use crate::cli::analyze::report::Report;
use crate::cli::figures::significant;

/// What lies below is drawn here, as a power of ten.
const LOWEST: f64 = -4.0;
/// Powers of ten up to here are written out.
const WRITTEN_OUT: f64 = 4.0;

/// Draws the chart.
pub(super) fn draw(report: &Report, area: &Area<'_>) -> Result<(), DrawingError> {
    let series = [
        (points(&report.looks, |look| look.ln_e), BLUE, 2),
        (points(&report.looks, |look| look.ln_e_without_one_look), ORANGE, 1),
    ];
    let levels = [("roll back", report.rollback_e_value, RED), ("hold", report.hold_e_value, GREY)];
    let all = || series.iter().flat_map(|(points, ..)| points);
    let of_levels = levels.iter().map(|(_, e_value, _)| e_value.log10());
    let (low, high) = all()
        .map(|(_, power)| *power)
        .chain(of_levels)
        .fold((-1.0_f64, 1.0_f64), |(low, high), power| (low.min(power), high.max(power)));
    let first = all().map(|(look, _)| *look).fold(f64::INFINITY, f64::min);
    let last = all().map(|(look, _)| *look).fold(f64::NEG_INFINITY, f64::max);
    // A single look still needs an axis to stand on.
    let room = if last > first { 0.03 * (last - first) } else { 0.5 + 1e-9 * first.abs() };
    let (title, legend) = (text(18, RGBColor(0, 0, 0), HPos::Left), text(12, GREY, HPos::Left));
    area.draw_text("Launch-level e-value over looks", &title, (16, 22))?;
    let told = "blue: all data so far; orange: the smallest with one look left out. A rollback takes both.";
    area.draw_text(told, &legend, (16, 46))?;
    let mut chart = ChartBuilder::on(area)
        .margin_top(64)
        .margin_right(24)
        .margin_bottom(8)
        .x_label_area_size(40)
        .y_label_area_size(NAMES_WIDTH)
        .build_cartesian_2d(first - room..last + room, low - 0.2..high + 0.3)?;
    chart
        .configure_mesh()
        .x_desc("look")
        .x_labels(12)
        .y_labels(8)
        .max_light_lines(1)
        .x_label_formatter(&|look| tick(*look))
        .y_label_formatter(&|power| e_value(*power))
        .draw()?;
    for (name, level, color) in levels {
        let power = level.log10();
        let line = PathElement::new([(first - room, power), (last + room, power)], color.stroke_width(1));
        chart.draw_series([line])?;
        let label = format!("{name} from {}", significant(level));
        chart.draw_series([Text::new(
            label,
            (first - 0.8 * room, power + 0.1),
            text(12, color, HPos::Left),
        )])?;
    }
    for (points, color, width) in &series {
        chart.draw_series([PathElement::new(points.clone(), color.stroke_width(*width))])?;
        chart.draw_series(points.iter().map(|point| Circle::new(*point, 3, color.filled())))?;
    }
    Ok(())
}

/// Looks with the e-value as a power of ten.
fn points(looks: &[LookReport], ln_e: impl Fn(&LookReport) -> f64) -> Vec<(f64, f64)> {
    let point =
        |look: &LookReport| Some((look.look.as_f64()?, (ln_e(look) / std::f64::consts::LN_10).max(LOWEST)));
    looks.iter().filter_map(point).collect()
}

/// The e-value behind its power of ten.
fn e_value(power: f64) -> String {
    if power.abs() <= WRITTEN_OUT { significant(10_f64.powf(power)) } else { format!("1e{power:.0}") }
}
