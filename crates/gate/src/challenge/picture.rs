//! The picture of an answer.
//!
//! People find the digits by their edges, also where ink and paper have changed places. Programs look for one colour of ink, and for
//! digits that stand alone. So each digit is written, leans and stands a little differently, some touch, and one wave bends them all. A
//! band and a curve across them change ink and paper round. The band is wider than the pen of the digits and the curve is thinner, so that
//! both leave edges of a digit that they run along.

use std::f32::consts::TAU;
use std::iter;
use std::ops::Range;

use fastrand::Rng;
use png::{BitDepth, ColorType, Compression, Encoder, Filter};

use super::answer::{Answer, DIGITS};
use super::canvas::{Canvas, Point};
use super::glyphs;

/// Pixels from left to right.
pub const WIDTH: u16 = 240;

/// Pixels from top to bottom.
pub const HEIGHT: u16 = 80;

type Colour = [u8; 3];

/// Ink and paper. The picture has its own paper, so it can be read on a dark page.
const COLOURS: [[Colour; 2]; 6] = [
    [[28, 38, 92], [247, 244, 232]],
    [[92, 24, 40], [250, 240, 236]],
    [[16, 72, 52], [238, 246, 236]],
    [[72, 28, 96], [244, 240, 250]],
    [[88, 48, 12], [250, 244, 226]],
    [[12, 64, 84], [234, 245, 248]],
];

/// Shades from paper to ink, which make edges smooth: as many as two bits can tell apart.
const SHADES: u8 = 4;

/// Pixels in a byte of the picture.
const PIXELS_IN_BYTE: usize = 4;

/// Dots of ink.
const DOTS: usize = 12;

/// Pixels between two points of a line. A longer piece would stay straight where the wave bends.
const PIECE: u16 = 4;

/// The picture, as a PNG of [`WIDTH`] times [`HEIGHT`] pixels. It has fewer than 3,000 bytes.
///
/// # Panics
/// A digit of the answer is above 9.
pub fn picture_png(answer: &Answer, seed: u64) -> Vec<u8> {
    let mut rng = Rng::with_seed(seed);
    let mut canvas = Canvas::new(WIDTH, HEIGHT);
    draw_digits(&mut canvas, *answer, &mut rng);
    canvas.invert(&curve(9.0..14.0, &mut rng));
    canvas.invert(&curve(1.1..1.5, &mut rng));
    for _ in 0..DOTS {
        let dot = (between(0.0..f32::from(WIDTH), &mut rng), between(0.0..f32::from(HEIGHT), &mut rng));
        canvas.draw(&[dot], between(0.6..1.6, &mut rng));
    }
    encode(&canvas, COLOURS[rng.usize(..COLOURS.len())])
}

fn draw_digits(canvas: &mut Canvas, answer: Answer, rng: &mut Rng) {
    let count = u16::try_from(DIGITS).expect("an answer is short");
    let step = between(35.5..37.0, rng);
    let whole = step * f32::from(count);
    let first = between(6.0..f32::from(WIDTH) - whole - 6.0, rng);
    let across = Swing::new(1.0..2.5, 35.0..60.0, rng);
    let down = Swing::new(2.0..5.0, 60.0..130.0, rng);
    for (&digit, number) in answer.0.iter().zip(0_u16..) {
        let height = between(46.0..56.0, rng);
        let width = height * between(0.8..1.05, rng);
        let (sin, cos) = between(-0.3..0.3, rng).sin_cos();
        let shear = between(-0.2..0.2, rng);
        let pen = between(2.4..3.2, rng);
        let middle = (
            first + step * (f32::from(number) + 0.5) + between(-2.0..2.0, rng),
            f32::from(HEIGHT) / 2.0 + between(-6.0..6.0, rng),
        );
        let place = |(x, y): Point| {
            let y = (y - 0.5) * height;
            let x = (x - glyphs::WIDTH / 2.0) * width - shear * y;
            let (x, y) = (middle.0 + x * cos - y * sin, middle.1 + x * sin + y * cos);
            (x + across.at(y), y + down.at(x))
        };
        let mut lines: Vec<Vec<Point>> =
            glyphs::lines(digit, rng.usize(..)).map(|line| line.into_iter().map(place).collect()).collect();
        move_inside(&mut lines, pen + 1.0);
        for line in lines {
            canvas.draw(&line, pen);
        }
    }
}

/// Moves lines that come nearer than `margin` to an edge of the picture, so that nothing of a digit is cut off.
fn move_inside(lines: &mut [Vec<Point>], margin: f32) {
    let missing = |end: u16, of: fn(&Point) -> f32| {
        let places = || lines.iter().flatten().map(of);
        let lowest = places().fold(f32::MAX, f32::min);
        let highest = places().fold(f32::MIN, f32::max);
        (margin - lowest).max(0.0) + (f32::from(end) - margin - highest).min(0.0)
    };
    let (right, down) = (missing(WIDTH, |point| point.0), missing(HEIGHT, |point| point.1));
    for point in lines.iter_mut().flatten() {
        *point = (point.0 + right, point.1 + down);
    }
}

/// A curve from the left edge to the right one.
fn curve(pen: Range<f32>, rng: &mut Rng) -> Canvas {
    let ends = 15.0..f32::from(HEIGHT) - 15.0;
    let (from, to) = (between(ends.clone(), rng), between(ends, rng));
    let swing = Swing::new(4.0..14.0, 60.0..200.0, rng);
    let points: Vec<Point> = (0..=WIDTH / PIECE)
        .map(|number| f32::from(number * PIECE))
        .map(|x| (x, from + (to - from) * x / f32::from(WIDTH) + swing.at(x)))
        .collect();
    let mut canvas = Canvas::new(WIDTH, HEIGHT);
    canvas.draw(&points, between(pen, rng));
    canvas
}

/// A sine wave, in pixels.
struct Swing {
    height: f32,
    length: f32,
    phase: f32,
}

impl Swing {
    fn new(heights: Range<f32>, lengths: Range<f32>, rng: &mut Rng) -> Self {
        Self { height: between(heights, rng), length: between(lengths, rng), phase: between(0.0..TAU, rng) }
    }

    fn at(&self, place: f32) -> f32 {
        self.height * (TAU * place / self.length + self.phase).sin()
    }
}

fn between(range: Range<f32>, rng: &mut Rng) -> f32 {
    range.start + rng.f32() * (range.end - range.start)
}

fn encode(canvas: &Canvas, [ink, paper]: [Colour; 2]) -> Vec<u8> {
    let palette: Vec<u8> = (0..SHADES).flat_map(|shade| blend(ink, paper, shade)).collect();
    let packed: Vec<u8> = canvas
        .rows()
        .flat_map(|row| row.chunks_exact(PIXELS_IN_BYTE))
        .map(|pixels| pixels.iter().fold(0, |byte, &covered| byte << 2 | shade(covered)))
        .collect();
    let mut png = Vec::with_capacity(packed.len());
    let mut encoder = Encoder::new(&mut png, u32::from(WIDTH), u32::from(HEIGHT));
    encoder.set_color(ColorType::Indexed);
    encoder.set_depth(BitDepth::Two);
    encoder.set_palette(palette);
    encoder.set_filter(Filter::NoFilter);
    encoder.set_compression(Compression::Fast);
    let written = encoder.write_header().and_then(|mut writer| {
        writer.write_image_data(&packed)?;
        writer.finish()
    });
    written.expect("a vector takes every write, and the picture is as large as the header says");
    png
}

/// The shade that is nearest to a pixel of which so much is covered.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is 0 to 3")]
fn shade(covered: f32) -> u8 {
    (covered * f32::from(SHADES - 1)).round() as u8
}

fn blend(ink: Colour, paper: Colour, shade: u8) -> Colour {
    let [inked, whole] = [shade, SHADES - 1].map(u16::from);
    let mix = |ink: u8, paper: u8| (u16::from(ink) * inked + u16::from(paper) * (whole - inked)) / whole;
    let mut colour = paper;
    for (part, ink) in iter::zip(&mut colour, ink) {
        *part = u8::try_from(mix(ink, *part)).expect("a mean is between the two");
    }
    colour
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// Shades of all pixels, 0 for paper and 3 for ink.
    fn shades(png: &[u8]) -> Vec<u8> {
        let mut reader = png::Decoder::new(Cursor::new(png)).read_info().expect("it is a PNG");
        let info = reader.info();
        assert_eq!((info.width, info.height), (240, 80));
        let mut packed = vec![0; reader.output_buffer_size().expect("it is small")];
        reader.next_frame(&mut packed).expect("it is whole");
        packed.iter().flat_map(|byte| [byte >> 6, byte >> 4 & 3, byte >> 2 & 3, byte & 3]).collect()
    }

    #[test]
    fn the_same_seed_makes_the_same_picture_and_another_seed_another() {
        let answer = Answer([0, 1, 2, 3, 4, 5]);
        assert_eq!(picture_png(&answer, 7), picture_png(&answer, 7));
        assert_ne!(picture_png(&answer, 7), picture_png(&answer, 8));
        assert_ne!(picture_png(&answer, 7), picture_png(&Answer([0, 1, 2, 3, 4, 6]), 7));
    }

    #[test]
    fn pictures_are_small_and_have_ink_and_paper() {
        for seed in 0..1_000 {
            let png = picture_png(&Answer::from_random(seed * 7_919), seed);
            assert!((1_000..3_000).contains(&png.len()), "seed {seed}: {} bytes", png.len());
            let shades = shades(&png);
            assert_eq!(shades.len(), 240 * 80);
            let ink = shades.iter().filter(|&shade| *shade > SHADES / 2).count() * 100 / shades.len();
            assert!((15..65).contains(&ink), "seed {seed}: {ink} % is ink");
        }
    }

    #[test]
    fn digits_lie_in_the_picture() {
        for seed in 0..1_000 {
            let mut canvas = Canvas::new(WIDTH, HEIGHT);
            draw_digits(&mut canvas, Answer::from_random(seed * 7_919), &mut Rng::with_seed(seed));
            let rows: Vec<&[f32]> = canvas.rows().collect();
            assert!(rows[0].iter().chain(rows[rows.len() - 1]).all(|&covered| covered <= 0.0), "seed {seed}");
            assert!(rows.iter().all(|row| row[0] <= 0.0 && row[row.len() - 1] <= 0.0), "seed {seed}");
        }
    }

    /// The contrast of the Web Content Accessibility Guidelines 2.2, which ask for 4.5 between text and what is behind it.
    #[test]
    fn ink_stands_out_from_paper() {
        let light = |colour: Colour| {
            let linear = colour.map(|part| {
                let part = f64::from(part) / 255.0;
                if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
            });
            0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
        };
        for [ink, paper] in COLOURS {
            let contrast = (light(paper) + 0.05) / (light(ink) + 0.05);
            assert!(contrast >= 7.0, "{ink:?} on {paper:?}: {contrast:.1}");
        }
    }

    #[test]
    fn shades_go_from_paper_to_ink() {
        let [ink, paper] = COLOURS[0];
        assert_eq!(blend(ink, paper, 0), paper);
        assert_eq!(blend(ink, paper, SHADES - 1), ink);
    }
}
