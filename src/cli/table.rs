//! Plain tables, aligned, without borders: easy on the eye and on `awk`.

use std::fmt;

use comfy_table::{ContentArrangement, presets};

/// A table with a heading.
pub(super) struct Table(comfy_table::Table);

impl Table {
    pub(super) fn new<const N: usize>(heading: [&str; N]) -> Self {
        let mut table = comfy_table::Table::new();
        table
            .load_style(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled)
            .set_header(heading);
        Self(table)
    }

    pub(super) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.0.add_row(cells);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.lines().try_for_each(|line| {
            writeln!(f, "{}", line.strip_prefix(' ').unwrap_or(&line).trim_end())
        })
    }
}
