//! A picture enlarged by a network: picture in, picture out, tile by tile.
//!
//! A tile is computed with so much of the picture around it that nothing shows where it ends: all that can have an influence
//! where that is little ([`Part::reach`]), else [`MARGIN`] pixels. Tiles are as large as [`ROOM`] allows, so that most pictures
//! are one tile and have no border inside at all. A picture whose own borders meet ([`Tiling`]) is read as far across them.

mod network;
mod tiles;

use self::network::{Bound, On};
use self::tiles::{Span, spans};
use super::request::Cancel;
use super::tiling::Tiling;
use crate::config::UpscalerConfig;
use crate::error::{Error, Result};
use crate::image::{Filter, MAX_PIXELS, Rgba, resize_tile};
use crate::kernels::{Elem, rgba};
use crate::model::upscaler::{self, Part};
use crate::plan::Outside;
use crate::weights::UpscalerFile;

/// Bytes that the maps of a tile may take.
const ROOM: usize = 640 << 20;
/// How much of the picture is around a tile at most. More has an influence in RRDBNets of seven blocks and more, each of which adds
/// a fifth of what it makes: with 23 of them it was a two-thousandth of a level of 255 (docs/upscaling.md).
const MARGIN: usize = 96;
/// How often a picture is enlarged for a factor that its network does not reach, as A1111 has it.
const MOST_PASSES: u32 = 3;

/// A network that enlarges pictures, ready to.
pub struct Enlarger {
    name: String,
    config: UpscalerConfig,
    on: On,
    /// Where tiles are not as large as there is room.
    side: Option<usize>,
}

/// How far it is: of all tiles so many are done, which were so much of the work, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    pub tile: usize,
    pub tiles: usize,
    pub share: f64,
}

/// A picture `[height, width, 4]`, or features `[height, width, channels]`, on the host.
struct Map {
    size: [usize; 2],
    channels: usize,
    values: Vec<f32>,
}

/// What comes of a part: packed pixels, or numbers.
enum Made {
    Rgba(Vec<u8>),
    Numbers(Vec<f32>),
}

impl Enlarger {
    /// A network on a device from the bytes of its file, which is called `name`.
    #[cfg(feature = "gpu")]
    pub async fn on_gpu(context: crate::gpu::Context, name: &str, bytes: &[u8]) -> Result<Enlarger> {
        let file = UpscalerFile::read(name, bytes)?;
        let packed = file.packed(&upscaler::weight_decls(&file.config))?;
        let on = On::gpu(context, &packed).await?;
        Ok(Enlarger { name: stem(name), config: file.config, on, side: None })
    }

    /// The same on the processor.
    #[cfg(feature = "cpu")]
    pub fn on_cpu(name: &str, bytes: &[u8]) -> Result<Enlarger> {
        let file = UpscalerFile::read(name, bytes)?;
        let packed = file.packed(&upscaler::weight_decls(&file.config))?;
        Ok(Enlarger { name: stem(name), config: file.config, on: On::cpu(packed)?, side: None })
    }

    /// Sets what to await between tiles on the processor; natively there is nothing to wait for.
    #[cfg(feature = "cpu")]
    pub fn set_pause(&mut self, pause: super::engine::Pause) {
        self.on.set_pause(pause);
    }

    /// Tiles have at most so many pixels of the network along a side: for tests.
    pub fn set_side(&mut self, side: Option<usize>) {
        self.side = side;
    }

    /// What its file is called, without path and ending.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn config(&self) -> &UpscalerConfig {
        &self.config
    }

    /// A picture at `size`, width and height, or by the network's own factor. Where the network makes it larger or smaller than
    /// that, it is brought to the size by Lanczos; a larger size is reached by enlarging again. Transparency is enlarged by
    /// Lanczos. Of a tile without seams the larger picture is one too.
    ///
    /// Fails where the result, or what lies between, has more than [`MAX_PIXELS`] pixels, and with [`Error::Aborted`].
    pub async fn enlarge(
        &self,
        picture: &Rgba,
        size: Option<[usize; 2]>,
        tiling: Tiling,
        on_tile: &mut dyn FnMut(Progress),
        cancel: &Cancel,
    ) -> Result<Rgba> {
        let from = [picture.width, picture.height];
        let scale = self.config.scale();
        let to = size.unwrap_or(from.map(|side| side.saturating_mul(scale)));
        let passes = self.passes(from, to);
        let between = from.map(|side| side.saturating_mul(scale.saturating_pow(passes)));
        for size in [between, to] {
            check_size(from, size)?;
        }
        let work = |pass: u32| (scale * scale).pow(pass) as f64;
        let all: f64 = (0..passes).map(work).sum();
        let mut image = Rgba { pixels: opaque(&picture.pixels), ..*picture };
        let mut before = 0.0;
        for pass in 0..passes {
            let mut told = |progress: Progress| {
                on_tile(Progress { share: before + progress.share * work(pass) / all, ..progress });
            };
            image = self.enlarge_once(&image, tiling, &mut told, cancel).await?;
            before += work(pass) / all;
        }
        sized(image, picture, to, tiling)
    }

    /// What the network makes of colours `[height, width, 4]` in [0, 1], the fourth unused, before they are rounded and cut off:
    /// to compare with.
    pub async fn numbers(&self, [width, height]: [usize; 2], colours: &[f32]) -> Result<Vec<f32>> {
        let values = colours.iter().map(|x| 2.0 * x - 1.0).collect();
        let map = Map { size: [height, width], channels: 4, values };
        match self.run(&map, Outside::Image, None, &mut |_| {}, &Cancel::default()).await? {
            Made::Numbers(values) => Ok(values.into_iter().map(|x| 0.5 * x + 0.5).collect()),
            Made::Rgba(_) => Ok(Vec::new()),
        }
    }

    /// How often a picture has to be enlarged.
    fn passes(&self, from: [usize; 2], to: [usize; 2]) -> u32 {
        let scale = self.config.scale();
        let reaches = |passes: u32| {
            from.iter().zip(to).all(|(from, to)| from.saturating_mul(scale.saturating_pow(passes)) >= to)
        };
        if scale == 1 { 1 } else { (1..MOST_PASSES).find(|passes| reaches(*passes)).unwrap_or(MOST_PASSES) }
    }

    async fn enlarge_once(
        &self,
        picture: &Rgba,
        tiling: Tiling,
        on_tile: &mut dyn FnMut(Progress),
        cancel: &Cancel,
    ) -> Result<Rgba> {
        let values = picture.pixels.iter().map(|level| f32::from(*level) / 127.5 - 1.0).collect();
        let mut map = Map { size: [picture.height, picture.width], channels: 4, values };
        let [wide, high] = tiling.wraps().map(|wraps| if wraps { self.around() } else { 0 });
        if tiling != Tiling::None {
            map = map.within_itself([high, wide]);
        }
        let mut made = self.run(&map, Outside::Rgba, None, on_tile, cancel).await?;
        if self.on.elem() == Elem::F16 && !is_finite(&made) {
            made = self.run(&map, Outside::Rgba, Some(Elem::F32), on_tile, cancel).await?;
        }
        let scale = self.config.scale();
        match made {
            Made::Rgba(pixels) if rgba::cpu::is_finite(&pixels) => {
                let line = map.size[1] * scale * 4;
                let lines = pixels.chunks_exact(line).skip(high * scale).take(picture.height * scale);
                let inner =
                    lines.flat_map(|line| &line[wide * scale * 4..][..picture.width * scale * 4]).copied();
                Rgba::new(picture.width * scale, picture.height * scale, inner.collect())
            }
            _ => Err(Error::NoNumbers),
        }
    }

    /// How many pixels of a picture's other side are read beyond a border: as many as around a tile.
    fn around(&self) -> usize {
        margin(&Part::of(&self.config))[0] * self.unshuffle()
    }

    /// Along a side, how many pixels of the picture are one of the network.
    fn unshuffle(&self) -> usize {
        match self.config {
            UpscalerConfig::Rrdb(config) => config.unshuffle,
            UpscalerConfig::Compact(_) => 1,
        }
    }

    /// Runs the network over a picture in [-1, 1], `wanted` being what is kept of its result.
    async fn run(
        &self,
        picture: &Map,
        wanted: Outside,
        elem: Option<Elem>,
        on_tile: &mut dyn FnMut(Progress),
        cancel: &Cancel,
    ) -> Result<Made> {
        let elem = elem.unwrap_or(self.on.elem());
        let parts = Part::of(&self.config);
        let (first, last) = (parts[0], parts[parts.len() - 1]);
        let unshuffle = self.unshuffle();
        let size = picture.size.map(|side| side.div_ceil(unshuffle));
        let [margin, behind] = margin(&parts);
        let outer = size.map(|side| spans(0..side, 0..side, self.side(first, elem, margin), margin));
        let mut target = Target::new(picture.size, self.config.scale(), wanted);
        let ahead = outer.each_ref().map(|spans| spans[0].read.len());
        let mut bound = self.on.bind(&first.graph(ahead[0], ahead[1]), elem).await?;
        let mut second: Option<(Bound, [usize; 2])> = None;
        let mut done = Done::new(&parts, size, outer.each_ref().map(Vec::len), on_tile);
        for rows in &outer[0] {
            for columns in &outer[1] {
                let tile = [rows, columns];
                let pixels = picture.window([rows, columns].map(|span| span.times(unshuffle).read));
                if parts.len() == 1 {
                    let made = bound.run((first.reads(), pixels), wanted, &self.on, cancel).await?;
                    target.put(tile, unshuffle, made);
                    done.tell(tile, first, true);
                    self.on.pause().await;
                    continue;
                }
                let features = bound.run((first.reads(), pixels), Outside::Seam, &self.on, cancel).await?;
                let Made::Numbers(values) = features else { return Err(Error::NoNumbers) };
                let area = ahead[0] * ahead[1];
                let features = Map { size: ahead, channels: values.len() / area, values };
                done.tell(tile, first, false);
                self.on.pause().await;
                let inner = tile.map(|span| {
                    spans(span.core.clone(), span.read.clone(), self.side(last, elem, behind), behind)
                });
                let window = inner.each_ref().map(|spans| spans[0].read.len());
                let within = match &mut second {
                    Some((within, size)) if *size == window => within,
                    old => {
                        *old = None; // the old memory goes before the new is taken
                        let fresh = self.on.bind(&last.graph(window[0], window[1]), elem).await?;
                        &mut old.insert((fresh, window)).0
                    }
                };
                for inner_rows in &inner[0] {
                    for inner_columns in &inner[1] {
                        let part = [inner_rows, inner_columns];
                        let read = [0, 1].map(|side| part[side].read_within(&tile[side].read));
                        let made = within
                            .run((last.reads(), features.window(read)), wanted, &self.on, cancel)
                            .await?;
                        target.put(part, unshuffle, made);
                        let ends = inner_rows.core.end == rows.core.end
                            && inner_columns.core.end == columns.core.end;
                        done.tell(part, last, ends);
                        self.on.pause().await;
                    }
                }
            }
        }
        Ok(target.made)
    }

    /// Pixels of the network along a side of a tile: what there is room for.
    fn side(&self, part: Part, elem: Elem, margin: usize) -> usize {
        const STEP: usize = 8;
        let pixels = ROOM / (part.values() * elem.size());
        let side = self.side.unwrap_or(pixels.isqrt() / STEP * STEP);
        side.max(2 * margin + STEP)
    }
}

/// A picture at `size`, width and height, by Lanczos alone; of a tile without seams the larger picture is one too.
///
/// Fails where that has more than [`MAX_PIXELS`] pixels, or none.
pub fn by_lanczos(picture: &Rgba, size: [usize; 2], tiling: Tiling) -> Result<Rgba> {
    check_size([picture.width, picture.height], size)?;
    sized(Rgba { pixels: opaque(&picture.pixels), ..*picture }, picture, size, tiling)
}

/// Colours brought to a size by Lanczos, with the transparency of the picture that they are of.
fn sized(colours: Rgba, picture: &Rgba, to: [usize; 2], tiling: Tiling) -> Result<Rgba> {
    let sized = |values: &[u8], channels, from| {
        resize_tile(values, channels, from, to, Filter::Lanczos, tiling.wraps())
    };
    let at = [colours.width, colours.height];
    let mut pixels = if at == to { colours.pixels } else { sized(&colours.pixels, 4, at) };
    if picture.pixels.chunks_exact(4).any(|pixel| pixel[3] != 255) {
        let alpha: Vec<u8> = picture.pixels.chunks_exact(4).map(|pixel| pixel[3]).collect();
        let alpha = sized(&alpha, 1, [picture.width, picture.height]);
        pixels.chunks_exact_mut(4).zip(alpha).for_each(|(pixel, alpha)| pixel[3] = alpha);
    }
    Rgba::new(to[0], to[1], pixels)
}

/// How many pixels of the network are read around a tile, and of them by the parts after the first.
fn margin(parts: &[Part]) -> [usize; 2] {
    let behind: usize = parts[1..].iter().map(|part| part.reach()).sum();
    [parts[0].reach().min(MARGIN) + behind, behind]
}

/// What is told of tiles as they are done.
struct Done<'a> {
    progress: Progress,
    /// Multiplications of all tiles, without what is read around them.
    all: f64,
    on_tile: &'a mut dyn FnMut(Progress),
}

impl<'a> Done<'a> {
    fn new(
        parts: &[Part],
        [height, width]: [usize; 2],
        [rows, columns]: [usize; 2],
        on_tile: &'a mut dyn FnMut(Progress),
    ) -> Done<'a> {
        let each: usize = parts.iter().map(|part| part.work()).sum();
        let all = each as f64 * (height * width) as f64;
        Done { progress: Progress { tile: 0, tiles: rows * columns, share: 0.0 }, all, on_tile }
    }

    /// A part has made a tile, with which all of it may be done.
    fn tell(&mut self, tile: [&Span; 2], part: Part, is_done: bool) {
        let pixels: f64 = tile.map(|span| span.core.len() as f64).iter().product();
        self.progress.share = (self.progress.share + part.work() as f64 * pixels / self.all).min(1.0);
        self.progress.tile += usize::from(is_done);
        (self.on_tile)(self.progress);
    }
}

impl Map {
    /// With so many rows above and below it, and columns at its sides, as lie there when it is put beside itself.
    fn within_itself(&self, [high, wide]: [usize; 2]) -> Map {
        let [height, width] = self.size;
        let before = |at: usize, around: usize, len: usize| (at + around * (len - 1)) % len; // at - around, not below 0
        let mut values = Vec::with_capacity((height + 2 * high) * (width + 2 * wide) * self.channels);
        for row in 0..height + 2 * high {
            let line = &self.values[before(row, high, height) * width * self.channels..];
            for column in 0..width + 2 * wide {
                values
                    .extend_from_slice(&line[before(column, wide, width) * self.channels..][..self.channels]);
            }
        }
        Map { size: [height + 2 * high, width + 2 * wide], channels: self.channels, values }
    }

    /// Some rows and columns of it; beyond its end it is mirrored, as pixels come in whole blocks to some networks.
    fn window(&self, [rows, columns]: [std::ops::Range<usize>; 2]) -> Vec<f32> {
        let [height, width] = self.size;
        let mirrored = |at: usize, len: usize| if at < len { at } else { (2 * (len - 1)).saturating_sub(at) };
        let mut values = Vec::with_capacity(rows.len() * columns.len() * self.channels);
        for row in rows {
            let line = &self.values[mirrored(row, height) * width * self.channels..][..width * self.channels];
            let inside = columns.end.min(width);
            values.extend_from_slice(&line[columns.start * self.channels..inside * self.channels]);
            for column in inside..columns.end {
                values.extend_from_slice(&line[mirrored(column, width) * self.channels..][..self.channels]);
            }
        }
        values
    }
}

/// The picture that tiles become.
struct Target {
    /// Height and width.
    size: [usize; 2],
    scale: usize,
    made: Made,
}

impl Target {
    fn new(picture: [usize; 2], scale: usize, wanted: Outside) -> Target {
        let size = picture.map(|side| side * scale);
        let len = size[0] * size[1] * 4;
        let made = match wanted {
            Outside::Rgba => Made::Rgba(vec![0; len]),
            _ => Made::Numbers(vec![0.0; len]),
        };
        Target { size, scale, made }
    }

    /// Puts the cores of a tile's rows and columns where they belong; one pixel of the network is `unshuffle` of the picture.
    fn put(&mut self, [rows, columns]: [&Span; 2], unshuffle: usize, made: Made) {
        let [rows, columns] = [rows, columns].map(|span| span.times(unshuffle * self.scale));
        match (&mut self.made, made) {
            (Made::Rgba(all), Made::Rgba(tile)) => copy(all, self.size, &tile, [rows, columns]),
            (Made::Numbers(all), Made::Numbers(tile)) => copy(all, self.size, &tile, [rows, columns]),
            _ => {}
        }
    }
}

/// Copies the cores out of a tile `[.., .., 4]` of what was read, as far as they lie within the picture.
fn copy<T: Copy>(all: &mut [T], [height, width]: [usize; 2], tile: &[T], [rows, columns]: [Span; 2]) {
    let wide = columns.read.len();
    let end = columns.core.end.min(width);
    for row in rows.core.start..rows.core.end.min(height) {
        let from = ((row - rows.read.start) * wide + columns.core.start - columns.read.start) * 4;
        let len = (end - columns.core.start) * 4;
        all[(row * width + columns.core.start) * 4..][..len].copy_from_slice(&tile[from..from + len]);
    }
}

/// Whether every pixel came from finite colours.
fn is_finite(made: &Made) -> bool {
    match made {
        Made::Rgba(pixels) => rgba::cpu::is_finite(pixels),
        Made::Numbers(values) => values.iter().all(|value| value.is_finite()),
    }
}

/// The colours without their transparency.
fn opaque(pixels: &[u8]) -> Vec<u8> {
    pixels.chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2], 255]).collect()
}

fn check_size([width, height]: [usize; 2], [wide, high]: [usize; 2]) -> Result<()> {
    let pixels = wide.saturating_mul(high);
    if pixels > 0 && pixels <= MAX_PIXELS {
        return Ok(());
    }
    let most = MAX_PIXELS / 1_000_000;
    let message = format!(
        "{width}×{height} pixels would become {wide}×{high}, and a picture has 1 pixel to {most} million; ask for another factor, or \
         begin with another picture"
    );
    Err(Error::InvalidInput { field: "scale", message })
}

/// A file's name without path and ending.
fn stem(name: &str) -> String {
    let name = name.rsplit(['/', '\\']).next().unwrap_or(name);
    name.strip_suffix(".safetensors").unwrap_or(name).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_mirrored_beyond_the_end() {
        let map = Map { size: [2, 3], channels: 1, values: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0] };
        assert_eq!(map.window([0..2, 1..3]), [2.0, 3.0, 5.0, 6.0]);
        assert_eq!(map.window([0..4, 2..4]), [3.0, 2.0, 6.0, 5.0, 3.0, 2.0, 3.0, 2.0]);
        let dot = Map { size: [1, 1], channels: 1, values: vec![7.0] };
        assert_eq!(dot.window([0..2, 0..2]), [7.0; 4]);
    }

    #[test]
    fn names_lose_path_and_ending() {
        assert_eq!(stem("/models/4x-UltraSharp.safetensors"), "4x-UltraSharp");
        assert_eq!(stem("C:\\x\\a.b.safetensors"), "a.b");
    }
}
