//! Relative effects with their intervals, one row a guardrail and arm.

use std::ops::Range;

use plotters::prelude::{ChartBuilder, Circle, Color, PathElement, RGBColor, Text, WHITE};
use plotters::style::text_anchor::HPos;

use super::{Area, BLUE, DrawingError, GREY, HEAD_HEIGHT, NAMES_WIDTH, ORANGE, RED, shortened, text, tick};
use crate::cli::analyze::comparison::{Comparison, MetricReport};
use crate::cli::analyze::report::Report;
use crate::cli::number::Interval;
use crate::domain::metric::Direction;

const MOST_NAME: usize = 34;
/// How far to both sides of the row's middle its two bars lie, in rows.
const BESIDE: f64 = 0.13;
/// Widths of the bars in pixels, by level.
const BAR_WIDTHS: [u32; 3] = [9, 5, 2];
/// No effect further out is drawn, in percent.
const FURTHEST: f64 = 1e6;

/// Draws the chart.
pub(super) fn draw(report: &Report, area: &Area<'_>) -> Result<(), DrawingError> {
    let rows: Vec<(&MetricReport, &Comparison)> = report
        .metrics
        .iter()
        .flat_map(|metric| metric.treatments.iter().map(move |arm| (metric, arm)))
        .collect();
    let range = range(&rows);
    let (title, legend) = (text(18, RGBColor(0, 0, 0), HPos::Left), text(12, GREY, HPos::Left));
    area.draw_text("Effects, in percent of the control", &title, (16, 22))?;
    let told = "blue: for one planned look; orange: at every look. Bars: 80 % thick, 90 %, 95 % thin. Red: harm lies beyond.";
    area.draw_text(told, &legend, (16, 46))?;
    let mut chart = ChartBuilder::on(area)
        .margin_top(HEAD_HEIGHT - 20)
        .margin_right(24)
        .margin_bottom(4)
        .x_label_area_size(36)
        .y_label_area_size(NAMES_WIDTH)
        .build_cartesian_2d(range, 0.0..rows.len() as f64)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .x_labels(8)
        .max_light_lines(1)
        .x_label_formatter(&|percent| format!("{} %", tick(*percent)))
        .draw()?;
    let zero = [(0.0, 0.0), (0.0, rows.len() as f64)];
    chart.draw_series([PathElement::new(zero, GREY.stroke_width(1))])?;
    for (index, (metric, comparison)) in rows.iter().enumerate() {
        let middle = (rows.len() - index) as f64 - 0.5;
        let (_, y) = chart.backend_coord(&(0.0, middle));
        let left = i32::try_from(NAMES_WIDTH)? - 10;
        let names =
            [(shortened(&metric.metric, MOST_NAME), -8), (shortened(&comparison.own.arm, MOST_NAME), 8)];
        for (name, below) in names {
            area.draw_text(&name, &text(13, RGBColor(0, 0, 0), HPos::Right), (left, y + below))?;
        }
        let harm = [(harm_from(metric), middle - 0.35), (harm_from(metric), middle + 0.35)];
        chart.draw_series([PathElement::new(harm, RED.stroke_width(2))])?;
        for (intervals, width) in comparison.intervals.iter().zip(BAR_WIDTHS) {
            let bars = [
                (intervals.one_look_relative, middle + BESIDE, BLUE),
                (intervals.every_look_relative, middle - BESIDE, ORANGE),
            ];
            for (interval, y, color) in bars {
                if let Some((low, high)) = drawn(interval) {
                    let bar = PathElement::new([(low, y), (high, y)], color.mix(0.75).stroke_width(width));
                    chart.draw_series([bar])?;
                }
            }
        }
        match comparison.relative_effect.0.map(|share| 100.0 * share) {
            Ok(effect) if effect.abs() <= FURTHEST => {
                chart.draw_series([Circle::new((effect, middle + BESIDE), 3, WHITE.filled())])?;
            }
            Ok(_) => {}
            Err(why) => {
                let why = format!(" undefined: {}", why.reason());
                chart.draw_series([Text::new(why, (0.0, middle + BESIDE), text(12, GREY, HPos::Left))])?;
            }
        }
    }
    Ok(())
}

/// All that is drawn in percent, with some room to both sides.
fn range(rows: &[(&MetricReport, &Comparison)]) -> Range<f64> {
    let ends = rows.iter().flat_map(|(metric, comparison)| {
        let intervals = comparison.intervals.iter();
        let intervals = intervals.flat_map(|found| [found.one_look_relative, found.every_look_relative]);
        let ends = intervals.filter_map(drawn).flat_map(|(low, high)| [low, high]);
        let effect = comparison.relative_effect.0.ok().map(|share| 100.0 * share);
        let effect = effect.filter(|effect| effect.abs() <= FURTHEST);
        ends.chain(effect).chain([harm_from(metric)])
    });
    let (low, high) = ends.fold((-1.0_f64, 1.0_f64), |(low, high), end| (low.min(end), high.max(end)));
    let room = 0.06 * (high - low);
    low - room..high + room
}

/// The relative effect in percent beyond which there is harm.
fn harm_from(metric: &MetricReport) -> f64 {
    match metric.direction {
        Direction::HigherIsBetter => -100.0 * metric.margin,
        Direction::LowerIsBetter => 100.0 * metric.margin,
    }
}

/// Both ends in percent, where they are near enough to be drawn.
fn drawn(interval: Interval) -> Option<(f64, f64)> {
    let ends = interval.ends().ok().map(|(low, high)| (100.0 * low, 100.0 * high));
    ends.filter(|(low, high)| low.abs() <= FURTHEST && high.abs() <= FURTHEST)
}
