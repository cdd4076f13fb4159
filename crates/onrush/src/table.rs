//! Columns for people.

use std::fmt::Write;

use crate::terminal::printable;

/// Lines of equally wide columns, the first of them the heads; two spaces lie between columns. The first `texts` columns
/// begin at the left, the others, which are numbers, end at the right. Cells may hold what others wrote.
pub(crate) fn aligned(rows: &[Vec<String>], texts: usize) -> String {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| printable(cell)).collect()).collect();
    let column_count = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width_of = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<_> = (0..column_count).map(width_of).collect();
    let mut lines = String::new();
    for row in &rows {
        let mut line = String::new();
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            let gap = if column == 0 { "" } else { "  " };
            let written = if column < texts {
                write!(line, "{gap}{cell:<width$}")
            } else {
                write!(line, "{gap}{cell:>width$}")
            };
            written.expect("a String takes every write");
        }
        lines.push_str(line.trim_end());
        lines.push('\n');
    }
    lines
}

#[cfg(test)]
mod tests {
    #[test]
    fn columns_are_aligned() {
        let rows = [["SINK", "KIND", "LAG"], ["a", "postgres", "12"], ["ü-long-one", "redis", "3456"]];
        let rows = rows.map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(
            super::aligned(&rows, 2),
            "SINK        KIND       LAG\na           postgres    12\nü-long-one  redis     3456\n"
        );
        assert_eq!(super::aligned(&[], 2), "");
    }
}
