//! Drawing: how much of each pixel lines cover.

/// A place in pixels, from the left and from the top. The middle of the first pixel is (0.5, 0.5).
pub(super) type Point = (f32, f32);

/// How much of each pixel is covered: 0 is nothing, 1 is all of it.
pub(super) struct Canvas {
    width: u16,
    height: u16,
    coverage: Vec<f32>,
}

impl Canvas {
    /// Nothing is covered.
    pub(super) fn new(width: u16, height: u16) -> Self {
        Self { width, height, coverage: vec![0.0; usize::from(width) * usize::from(height)] }
    }

    /// Row after row, from the top.
    pub(super) fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.coverage.chunks_exact(usize::from(self.width))
    }

    /// Draws a line through all points with a round pen. What lies outside is left out.
    pub(super) fn draw(&mut self, points: &[Point], radius: f32) {
        if let &[point] = points {
            self.draw_segment(point, point, radius);
        }
        for pair in points.windows(2) {
            self.draw_segment(pair[0], pair[1], radius);
        }
    }

    fn draw_segment(&mut self, from: Point, to: Point, radius: f32) {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let scale = 1.0 / (dx * dx + dy * dy).max(f32::EPSILON);
        let reach = radius + 1.0;
        let columns = pixels(from.0.min(to.0) - reach, from.0.max(to.0) + reach, self.width);
        let rows = pixels(from.1.min(to.1) - reach, from.1.max(to.1) + reach, self.height);
        for row in rows {
            let first = usize::from(row) * usize::from(self.width);
            let pixels = &mut self.coverage[first..][usize::from(columns.start)..usize::from(columns.end)];
            let py = f32::from(row) + 0.5 - from.1;
            for (pixel, column) in pixels.iter_mut().zip(columns.clone()) {
                let px = f32::from(column) + 0.5 - from.0;
                let along = ((px * dx + py * dy) * scale).clamp(0.0, 1.0);
                let (ex, ey) = (px - along * dx, py - along * dy);
                let distance = (ex * ex + ey * ey).sqrt();
                *pixel = pixel.max((radius + 0.5 - distance).min(1.0));
            }
        }
    }

    /// Turns covered and not covered round where the other one covers.
    pub(super) fn invert(&mut self, other: &Self) {
        for (here, &there) in self.coverage.iter_mut().zip(&other.coverage) {
            *here = (*here - there).abs();
        }
    }
}

/// The pixels between two places, as far as there are any below `end`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast saturates, as is wanted here"
)]
fn pixels(first: f32, last: f32, end: u16) -> std::ops::Range<u16> {
    (first as u16).min(end)..(last as u16).min(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(canvas: &Canvas) -> Vec<String> {
        let sign = |&covered: &f32| match covered {
            ..=0.001 => '.',
            0.999.. => '#',
            _ => '+',
        };
        canvas.rows().map(|row| row.iter().map(sign).collect()).collect()
    }

    #[test]
    fn a_line_covers_what_is_near_and_the_edge_in_part() {
        let mut canvas = Canvas::new(8, 5);
        canvas.draw(&[(2.5, 2.5), (5.5, 2.5)], 0.75);
        assert_eq!(shown(&canvas), ["........", "..++++..", ".+####+.", "..++++..", "........"]);
    }

    #[test]
    fn what_lies_outside_is_left_out() {
        let mut canvas = Canvas::new(3, 2);
        canvas.draw(&[(-50.0, -9.0), (-20.0, -9.0)], 2.0);
        canvas.draw(&[(50.0, 90.0)], 2.0);
        assert_eq!(shown(&canvas), ["...", "..."]);
        canvas.draw(&[(-5.0, 0.5), (8.0, 0.5)], 0.75);
        assert_eq!(shown(&canvas), ["###", "+++"]);
    }

    #[test]
    fn what_is_inverted_twice_is_as_before() {
        let (mut canvas, mut other) = (Canvas::new(4, 1), Canvas::new(4, 1));
        canvas.draw(&[(0.5, 0.5), (1.5, 0.5)], 0.5);
        other.draw(&[(1.5, 0.5), (2.5, 0.5)], 0.5);
        canvas.invert(&other);
        assert_eq!(shown(&canvas), ["#.#."]);
        canvas.invert(&other);
        assert_eq!(shown(&canvas), ["##.."]);
    }
}
