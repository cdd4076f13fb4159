//! Shapes of the digits, as lines that a pen follows.
//!
//! Places are thousandths of the height of a digit, from the left and from the top; a digit is about 600 wide. A stroke is a smooth curve
//! through its places, closed if it ends where it begins. A corner is where one stroke ends and the next begins.

use super::canvas::Point;

type Stroke = &'static [(i16, i16)];
type Glyph = &'static [Stroke];

/// Width of every digit, as a part of its height.
pub(super) const WIDTH: f32 = 0.6;

/// Pieces between two places of a stroke.
const PIECES: u8 = 5;

/// The usual ways of writing each digit.
const GLYPHS: [&[Glyph]; 10] = [
    &[&[&[
        (300, 10),
        (100, 130),
        (40, 500),
        (100, 870),
        (300, 990),
        (500, 870),
        (560, 500),
        (500, 130),
        (300, 10),
    ]]],
    &[
        &[&[(90, 250), (350, 20)], &[(350, 20), (350, 980)]],
        &[&[(90, 250), (330, 20)], &[(330, 20), (330, 980)], &[(110, 980), (550, 980)]],
    ],
    &[&[
        &[(50, 240), (120, 70), (310, 10), (510, 90), (555, 280), (440, 500), (220, 740), (40, 980)],
        &[(40, 980), (580, 980)],
    ]],
    &[
        &[
            &[(50, 130), (270, 10), (490, 90), (530, 270), (420, 430), (230, 470)],
            &[(230, 470), (460, 530), (570, 720), (480, 920), (260, 990), (30, 880)],
        ],
        &[
            &[(50, 20), (550, 20)],
            &[(550, 20), (270, 410)],
            &[(270, 410), (480, 480), (570, 690), (480, 910), (260, 990), (30, 880)],
        ],
    ],
    &[&[&[(430, 980), (430, 20)], &[(430, 20), (20, 690)], &[(20, 690), (590, 690)]]],
    &[&[
        &[(530, 20), (140, 20)],
        &[(140, 20), (90, 450)],
        &[(90, 450), (290, 370), (490, 440), (580, 670), (490, 910), (270, 990), (30, 880)],
    ]],
    &[&[&[
        (500, 50),
        (260, 160),
        (90, 420),
        (50, 690),
        (120, 910),
        (310, 990),
        (500, 900),
        (560, 700),
        (480, 500),
        (310, 440),
        (130, 520),
        (55, 690),
    ]]],
    &[
        &[&[(30, 20), (570, 20)], &[(570, 20), (370, 450), (240, 980)]],
        &[&[(30, 20), (570, 20)], &[(570, 20), (370, 450), (240, 980)], &[(170, 510), (510, 510)]],
    ],
    &[&[
        &[
            (300, 10),
            (130, 90),
            (90, 230),
            (140, 390),
            (300, 460),
            (460, 390),
            (510, 230),
            (470, 90),
            (300, 10),
        ],
        &[
            (300, 460),
            (110, 550),
            (40, 730),
            (110, 910),
            (300, 990),
            (490, 910),
            (560, 730),
            (490, 550),
            (300, 460),
        ],
    ]],
    &[
        &[&[
            (100, 950),
            (340, 840),
            (510, 580),
            (550, 310),
            (480, 90),
            (290, 10),
            (100, 100),
            (40, 300),
            (120, 500),
            (290, 560),
            (470, 480),
            (545, 310),
        ]],
        &[
            &[
                (290, 10),
                (100, 90),
                (40, 290),
                (110, 490),
                (290, 560),
                (480, 470),
                (550, 280),
                (480, 90),
                (290, 10),
            ],
            &[(550, 280), (530, 600), (440, 980)],
        ],
    ],
];

/// The lines of a digit, in units of its height; `way` chooses among the ways of writing it.
pub(super) fn lines(digit: u8, way: usize) -> impl Iterator<Item = Vec<Point>> {
    let ways = GLYPHS[usize::from(digit)];
    ways[way % ways.len()].iter().map(|stroke| curve(stroke))
}

/// A Catmull-Rom spline through the places of a stroke, which has two or more.
fn curve(stroke: Stroke) -> Vec<Point> {
    let is_closed = stroke.first() == stroke.last();
    let last = stroke.len() - 1;
    let at = |index: usize| {
        let (x, y) = stroke[index];
        (f32::from(x) / 1_000.0, f32::from(y) / 1_000.0)
    };
    let mut points = vec![at(0)];
    for index in 0..last {
        let before = if index > 0 {
            index - 1
        } else if is_closed {
            last - 1
        } else {
            0
        };
        let after = if index + 1 < last {
            index + 2
        } else if is_closed {
            1
        } else {
            last
        };
        let around = [before, index, index + 1, after].map(at);
        let pieces = (1..=PIECES).map(|piece| f32::from(piece) / f32::from(PIECES));
        points.extend(
            pieces.map(|part| (spline(part, around.map(|(x, _)| x)), spline(part, around.map(|(_, y)| y)))),
        );
    }
    points
}

fn spline(t: f32, [p0, p1, p2, p3]: [f32; 4]) -> f32 {
    let linear = (p2 - p0) * t;
    let square = (2.0 * p0 - 5.0 * p1 + 4.0 * p2 - p3) * t * t;
    let cubic = (3.0 * p1 - p0 - 3.0 * p2 + p3) * t * t * t;
    p1 + 0.5 * (linear + square + cubic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_digit_lies_in_its_box() {
        for digit in 0..10 {
            for way in 0..GLYPHS[usize::from(digit)].len() {
                let points: Vec<Point> = lines(digit, way).flatten().collect();
                assert!(points.len() > 4, "{digit} {way}");
                for (x, y) in points {
                    assert!((0.0..=WIDTH).contains(&x) && (0.0..=1.0).contains(&y), "{digit} {way}: {x} {y}");
                }
            }
        }
    }

    #[test]
    fn a_stroke_goes_through_its_places() {
        let stroke: Stroke = &[(0, 0), (500, 0), (500, 1_000), (0, 0)];
        let points = curve(stroke);
        for &(x, y) in stroke {
            let place = (f32::from(x) / 1_000.0, f32::from(y) / 1_000.0);
            let nearest = points.iter().map(|point| (point.0 - place.0).hypot(point.1 - place.1));
            assert!(nearest.fold(f32::MAX, f32::min) < 1e-5, "{x} {y}");
        }
    }
}
