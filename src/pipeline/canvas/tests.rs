use super::*;
use crate::image::Resize;

fn grey(width: usize, height: usize, value: impl Fn(usize, usize) -> u8) -> Rgba {
    let pixel = |i: usize| {
        let value = value(i % width, i / width);
        [value, value, value, 255]
    };
    Rgba { width, height, pixels: (0..width * height).flat_map(pixel).collect() }
}

/// White from x = 12 to 20.
fn request(mask: Mask, picture: [usize; 2], resize: Resize) -> Request {
    let image = grey(picture[0], picture[1], |x, y| (x * 3 + y) as u8);
    Request {
        width: 32,
        height: 32,
        steps: 2,
        picture: Some(Picture { mask: Some(mask), resize, ..Picture::new(image, 0.5) }),
        ..crate::pipeline::common::tests::request(1, 0, None)
    }
}

fn sharp(width: usize, height: usize) -> Mask {
    let image = grey(width, height, |x, _| if (12..20).contains(&x) { 255 } else { 0 });
    Mask { blur: 0.0, ..Mask::new(image) }
}

fn config() -> ModelConfig {
    ModelConfig::builtin("sd15").expect("built in")
}

#[test]
fn what_is_black_stays_to_the_byte() -> Result<()> {
    for (blur, picture, resize) in
        [(0.0, [32, 32], Resize::Just), (1.5, [40, 24], Resize::Crop), (2.0, [25, 31], Resize::Fill)]
    {
        let mask = Mask { blur, ..sharp(picture[0], picture[1]) };
        let request = request(mask, picture, resize);
        let canvas = Canvas::new(&request, &config())?.expect("a picture");
        let finished = canvas.finished(grey(32, 32, |_, _| 200))?;
        let old = &request.picture.as_ref().expect("a picture").image;
        assert_eq!((finished.width, finished.height), (picture[0], picture[1]));
        let masked = canvas.masked.as_ref().expect("a mask");
        let pixels = finished.pixels.chunks(4).zip(old.pixels.chunks(4)).zip(&masked.own);
        for (at, ((new, old), share)) in pixels.enumerate() {
            assert!(*share > 0 || new == old, "pixel {at}");
            assert!(*share < 255 || new[0] == 200, "pixel {at}: {new:?}");
        }
        let reach = (2.5 * blur + 0.5) as usize;
        assert!(masked.own.iter().enumerate().all(|(at, share)| {
            let x = at % picture[0];
            *share == 0 || (x + reach >= 12 && x < 20 + reach)
        }));
        assert!(masked.own.contains(&255) || blur > 0.0);
    }
    Ok(())
}

#[test]
fn a_latent_is_drawn_where_the_mask_touches_it() -> Result<()> {
    let request = request(sharp(32, 32), [32, 32], Resize::Just);
    let canvas = Canvas::new(&request, &config())?.expect("a picture");
    assert_eq!(canvas.mask(), Some(&[0.0, 1.0, 1.0, 0.0].repeat(4)[..]));
    assert_eq!(canvas.told(8), [0.0, 1.0, 1.0, 0.0].repeat(4));
    let around = canvas.planes_around();
    let zero = |x: usize| around[x] == 0.0 && around[32 * 32 + x] == 0.0;
    assert!((0..32).all(|x| zero(x) == (12..20).contains(&x)));
    Ok(())
}

#[test]
fn content_is_what_was_asked_for() -> Result<()> {
    let (latents, noise) = (vec![2.0; 16], vec![3.0; 16]);
    for (content, inside) in [
        (MaskedContent::Original, 2.0),
        (MaskedContent::Noise, 3.0),
        (MaskedContent::Zero, 0.0),
        (MaskedContent::Fill, 2.0),
    ] {
        let request = request(Mask { content, ..sharp(32, 32) }, [32, 32], Resize::Just);
        let canvas = Canvas::new(&request, &config())?.expect("a picture");
        assert_eq!(canvas.content(&latents, &noise), [2.0, inside, inside, 2.0].repeat(4), "{content:?}");
    }
    Ok(())
}

/// Between 0 and 40 lies what is between them, and nothing of what was hidden.
#[test]
fn a_fill_is_of_the_colours_around() {
    let rgb: Vec<u8> = (0..16 * 16)
        .flat_map(|i| {
            [if i % 16 < 4 {
                0
            } else if i % 16 > 11 {
                40
            } else {
                255
            }; 3]
        })
        .collect();
    let mask: Vec<u8> = (0..16 * 16).map(|i| if (4..12).contains(&(i % 16)) { 255 } else { 0 }).collect();
    let made = filled(&rgb, &mask, [16, 16]);
    let row: Vec<u8> = (0..16).map(|x| made[(8 * 16 + x) * 3]).collect();
    assert!(row[..4] == [0; 4] && row[12..] == [40; 4], "{row:?}");
    assert!(row.is_sorted() && row[7] > 5 && row[8] < 35, "{row:?}");
    assert_eq!(filled(&rgb, &[255; 256], [16, 16])[0], 128, "nothing is known");
}

/// As the authors have it: what is as grey as `m` takes part in the last `m` of the steps.
#[test]
fn a_differential_mask_opens_step_by_step() -> Result<()> {
    let image = grey(32, 32, |x, _| [0, 64, 128, 255][x / 8]);
    let mask = Mask { blur: 0.0, differential: true, ..Mask::new(image) };
    let request = request(mask, [32, 32], Resize::Just);
    let canvas = Canvas::new(&request, &config())?.expect("a picture");
    let after = |step| canvas.drawn_after(step, 4)[..4].to_vec();
    assert_eq!(after(0), [0.0, 0.0, 0.0, 1.0]);
    assert_eq!(after(1), [0.0, 0.0, 1.0, 1.0]);
    assert_eq!(after(2), [0.0, 1.0, 1.0, 1.0]);
    assert_eq!(after(3), [0.0, 1.0, 1.0, 1.0]);
    Ok(())
}

#[test]
fn a_mask_that_leaves_nothing_is_refused() {
    let black = Mask::new(grey(8, 8, |_, _| 0));
    let error = |request: &Request| Canvas::new(request, &config()).err().map(|error| error.to_string());
    let said = error(&request(black, [32, 32], Resize::Just)).expect("refused");
    assert!(said.starts_with("mask: nothing of it is white"), "{said}");
    // White only where the picture is cut off.
    let edge = Mask { blur: 0.0, ..Mask::new(grey(64, 32, |x, _| if x < 8 { 255 } else { 0 })) };
    assert!(error(&request(edge.clone(), [64, 32], Resize::Crop)).is_some());
    assert!(error(&request(edge, [64, 32], Resize::Just)).is_none());
}

/// The masked part alone is on the canvas, as large as that; what is beyond it stays to the byte.
#[test]
fn only_what_is_masked_is_drawn_at_full_size() -> Result<()> {
    for (blur, padding, size) in [(0.0, 2, [32, 32]), (1.5, 0, [32, 48]), (0.0, 0, [40, 32])] {
        let picture = [100, 60];
        let image = grey(picture[0], picture[1], |x, y| {
            if (40..50).contains(&x) && (20..26).contains(&y) { 255 } else { 0 }
        });
        let mut request = request(Mask { blur, ..Mask::new(image) }, picture, Resize::Just);
        [request.width, request.height] = size;
        request.picture = request.picture.map(|picture| Picture { only_masked: Some(padding), ..picture });
        let canvas = Canvas::new(&request, &config())?.expect("a picture");
        let Region { at, size: [wide, high] } = canvas.region;
        assert!(wide < 40 && high < 40, "{:?}", canvas.region);
        assert!((wide * size[1]).abs_diff(high * size[0]) <= size[0].max(size[1]), "{:?}", canvas.region);
        assert_eq!(canvas.planes().len(), 3 * size[0] * size[1]);

        let new = grey(size[0], size[1], |_, _| 200);
        let finished = canvas.finished(new)?;
        let old = &request.picture.as_ref().expect("a picture").image;
        assert_eq!([finished.width, finished.height], picture);
        let reach = (2.5 * blur + 0.5) as usize;
        let mut drawn = 0;
        for (i, (new, old)) in finished.pixels.chunks(4).zip(old.pixels.chunks(4)).enumerate() {
            let [x, y] = [i % picture[0], i / picture[0]];
            let near = (40 - reach..50 + reach).contains(&x) && (20 - reach..26 + reach).contains(&y);
            assert!(near || new == old, "{x}, {y}");
            assert!(blur > 0.0 || !near || new == [200, 200, 200, 255], "{x}, {y}: {new:?}");
            drawn += usize::from(new != old);
            assert!(!near || (at[0]..at[0] + wide).contains(&x), "{x}, {y} is on the canvas");
        }
        assert!(drawn > 50, "{drawn} pixels are new");
    }
    Ok(())
}

#[test]
fn a_mask_is_refused_or_taken_with_a_word() -> Result<()> {
    let said = |request: &Request| request.check(&config()).err().map(|error| error.to_string());
    let other = request(Mask::new(grey(64, 20, |_, _| 255)), [32, 32], Resize::Just);
    let text = said(&other).expect("refused");
    assert!(text.starts_with("mask: it has 64×20 pixels, another shape than the picture's 32×32"), "{text}");
    let smaller = request(Mask::new(grey(17, 16, |_, _| 255)), [64, 60], Resize::Just);
    assert_eq!(said(&smaller), None);
    let canvas = Canvas::new(&smaller, &config())?.expect("a picture");
    let notice = canvas.notice().expect("a notice");
    assert!(notice.starts_with("The mask is white everywhere"), "{notice}");
    let part = request(sharp(32, 32), [32, 32], Resize::Just);
    assert_eq!(Canvas::new(&part, &config())?.expect("a picture").notice(), None);

    let with = |only_masked, mask| {
        let request = request(sharp(32, 32), [32, 32], Resize::Just);
        let picture = request.picture.clone().map(|picture| Picture { only_masked, mask, ..picture });
        said(&Request { picture, ..request }).expect("refused")
    };
    assert!(with(Some(4), None).starts_with("only_masked: it is the masked part"));
    assert!(
        with(Some(257), Some(sharp(32, 32))).contains("257 pixels around it asked for, expected 0 to 256")
    );
    Ok(())
}
