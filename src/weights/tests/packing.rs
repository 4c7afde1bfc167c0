//! Packing and unpacking: every kind and type, exactness, and all problems at once.

use proptest::prelude::*;

use super::*;
use crate::config::ModelConfig;
use crate::error::{Error, TensorProblem};
use crate::kernels::WeightType;
use crate::plan::Rows;
use crate::weights::decode::{decode, encode};
use crate::weights::{
    LayoutOptions, MAX_SLAB, Manifest, OtherTensor, Packer, Source, layout_with, unpack, unused,
};

fn plan(decls: &[WeightDecl], header: &Header, matrix_type: Option<WeightType>) -> crate::Result<Manifest> {
    let config = ModelConfig::builtin("sd15")?;
    layout_with(
        "m",
        &config,
        "{}",
        decls,
        header,
        Source::default(),
        LayoutOptions { matrix_type, ..LayoutOptions::default() },
    )
}

/// Packs tensors given in any order and unpacks every record again.
fn round_trip(
    decls: &[WeightDecl],
    header: &Header,
    tensors: &[(&str, Vec<u8>)],
    matrix_type: Option<WeightType>,
) -> (Manifest, Vec<Vec<u8>>, Vec<crate::weights::Unpacked>) {
    let manifest = plan(decls, header, matrix_type).unwrap();
    let mut slabs: Vec<Vec<u8>> = manifest.slabs.iter().map(|&len| vec![0xAA; len as usize]).collect();
    let mut packer = Packer::new(&manifest, header);
    for (name, bytes) in tensors {
        for piece in packer.push(name, bytes).unwrap() {
            let at = piece.offset as usize;
            slabs[piece.slab][at..at + piece.bytes.len()].copy_from_slice(&piece.bytes);
        }
    }
    packer.finish().unwrap();
    let parts =
        manifest.records.iter().flat_map(|record| unpack(record, &slabs[record.slab]).unwrap()).collect();
    (manifest, slabs, parts)
}

/// How far a type may be from f32 values between -1 and 1.
fn tolerance(kind: WeightType) -> f32 {
    match kind {
        WeightType::F32 => 0.0,
        WeightType::F16 => 1.0 / 2048.0,
        WeightType::Q8 => 0.5 / 127.0 + 1e-3,
        // A value beyond the fitted scale, and what a kernel's other positions gave on.
        WeightType::Q5 => 0.15,
        WeightType::Q4 => 0.3,
    }
}

const TYPES: [WeightType; 5] = WeightType::ALL;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn every_kind_survives_packing(
        rows in proptest::collection::vec(1usize..40, 1..4),
        cin in 1usize..70,
        taps in prop_oneof![Just(1usize), Just(3)],
        kind in 0usize..5,
        seed: u64,
    ) {
        let names = ["a", "b", "c"];
        let shapes: Vec<Vec<usize>> =
            rows.iter().map(|&n| if taps == 1 { vec![n, cin] } else { vec![n, cin, taps, taps] }).collect();
        let n: usize = rows.iter().sum();
        let parts: Vec<(&str, &[usize])> = names.iter().copied().zip(shapes.iter().map(Vec::as_slice)).collect();
        let inner = 2 * rows[0];
        let decls = [
            decl("m", WeightKind::Matrix { n, k: cin * taps * taps }, &parts),
            decl("g", WeightKind::Geglu { n: 2 * inner, k: cin }, &[("g", &[2 * inner, cin])]),
            decl("gb", WeightKind::GegluVector { len: 2 * inner }, &[("gb", &[2 * inner])]),
            decl("t", WeightKind::Table { rows: n, cols: cin }, &[("t", &[n, cin])]),
            decl("v", WeightKind::Vector { len: n + cin + 3 }, &[("v0", &[n]), ("v1", &[cin])]),
        ];
        let all: Vec<(&str, SourceType, &[usize])> = decls
            .iter()
            .flat_map(|decl| decl.parts.iter().map(|part| (part.name.as_str(), SourceType::F32, part.shape.as_slice())))
            .collect();
        let header = header(&all);
        let sources: Vec<(&str, Vec<f32>)> = all
            .iter()
            .enumerate()
            .map(|(i, (name, _, shape))| (*name, values(shape.iter().product(), seed.wrapping_add(i as u64))))
            .collect();
        let mut tensors: Vec<(&str, Vec<u8>)> =
            sources.iter().map(|(name, values)| (*name, bytemuck::cast_slice(values).to_vec())).collect();
        if seed % 2 == 0 {
            tensors.reverse();
        }
        let (manifest, _, unpacked) = round_trip(&decls, &header, &tensors, Some(TYPES[kind]));
        for record in &manifest.records {
            prop_assert_eq!(record.values.offset % 256, 0);
            prop_assert_eq!(record.scales.map_or(0, |scales| scales.offset % 256), 0);
            prop_assert!(record.end() <= manifest.slabs[record.slab]);
        }
        let record_of = |name: &str| manifest.records.iter().find(|r| r.decl.parts.iter().any(|p| p.name == name));
        for ((name, source), (got_name, got_shape, got)) in sources.iter().zip(&unpacked) {
            prop_assert_eq!(*name, got_name);
            prop_assert_eq!(got_shape.iter().product::<usize>(), source.len());
            let limit = tolerance(record_of(name).unwrap().weight_type);
            for (a, b) in source.iter().zip(got) {
                prop_assert!((a - b).abs() <= limit, "{} {} {}", name, a, b);
            }
        }
    }
}

#[test]
fn the_layout_is_the_one_the_kernels_read() {
    // W[n, k] = 100 n + k, exact in f16.
    let (n, k) = (8, 64);
    let w: Vec<f32> = (0..n * k).map(|i| (100 * (i / k) + i % k) as f32).collect();
    let decls = [decl("m", WeightKind::Matrix { n, k }, &[("m", &[n, k])])];
    let header = header(&[("m", SourceType::F32, &[n, k])]);
    let tensors = [("m", bytemuck::cast_slice(&w).to_vec())];
    let (_, slabs, _) = round_trip(&decls, &header, &tensors, None);
    let floats: &[f32] = bytemuck::cast_slice(&slabs[0][..n * k * 4]);
    for k4 in 0..k / 4 {
        for row in 0..n {
            for i in 0..4 {
                assert_eq!(floats[(k4 * n + row) * 4 + i], (100 * row + 4 * k4 + i) as f32);
            }
        }
    }
    let (manifest, slabs, parts) = round_trip(&decls, &header, &tensors, Some(WeightType::Q4));
    let scales = manifest.records[0].scales.unwrap();
    assert_eq!((scales.offset, scales.len), (256, (n * k / 32 * 2) as u64));
    let words: &[u32] = bytemuck::cast_slice(&slabs[0][..n * k / 2]);
    let halves: &[half::f16] = bytemuck::cast_slice(&slabs[0][256..256 + n * k / 16]);
    let unpacked = &parts[0].2;
    for row in 0..n {
        for at in 0..k {
            let nibble = (words[at / 8 * n + row] >> (4 * (at % 8))) & 15;
            let scale = halves[at / 32 * n + row].to_f32();
            assert_eq!(unpacked[row * k + at], scale * (nibble as i32 - 8) as f32);
        }
    }
}

#[test]
fn quantized_files_keep_their_numbers_exactly() {
    let (n, k) = (20, 96);
    for (dtype, kind) in [
        (SourceType::Q8_0, WeightType::Q8),
        (SourceType::Q5_0, WeightType::Q5),
        (SourceType::Q4_0, WeightType::Q4),
    ] {
        let blocks = encode(dtype, &values(n * k, 5)).unwrap();
        let decls = [decl("m", WeightKind::Matrix { n, k }, &[("m", &[n, k])])];
        let header = header(&[("m", dtype, &[n, k])]);
        let (manifest, slabs, parts) = round_trip(&decls, &header, &[("m", blocks.clone())], None);
        assert_eq!(manifest.records[0].weight_type, kind);
        assert_eq!(parts[0].2, decode(dtype, &blocks));
        if dtype == SourceType::Q8_0 {
            for (row, block) in (0..n).flat_map(|row| (0..k / 32).map(move |block| (row, block))) {
                let source = &blocks[(row * (k / 32) + block) * 34..][..34];
                let scale_at = manifest.records[0].scales.unwrap().offset as usize + (block * n + row) * 2;
                assert_eq!(&slabs[0][scale_at..][..2], &source[..2]);
                for i in 0..32 {
                    assert_eq!(slabs[0][((block * 8 + i / 4) * n + row) * 4 + i % 4], source[2 + i]);
                }
            }
        }
    }
}

#[test]
fn our_ggufs_convolutions_keep_their_blocks() {
    let (o, i) = (8, 32);
    let flat = values(o * i * 9, 3);
    let blocks = encode(SourceType::Q8_0, &flat).unwrap();
    let mut header = header(&[("c", SourceType::Q8_0, &[o, 9 * i])]);
    header.metadata.insert(Header::CONV_LAYOUT.to_string(), "ohwi".to_string());
    let decls = [decl("c", WeightKind::Matrix { n: o, k: 9 * i }, &[("c", &[o, i, 3, 3])])];
    let (manifest, _, parts) = round_trip(&decls, &header, &[("c", blocks.clone())], None);
    assert_eq!(manifest.records[0].weight_type, WeightType::Q8);
    let exact = decode(SourceType::Q8_0, &blocks);
    for at in 0..o * i * 9 {
        let (row, channel, tap) = (at / (i * 9), at / 9 % i, at % 9);
        assert_eq!(parts[0].2[at], exact[(row * 9 + tap) * i + channel]);
    }
}

#[test]
fn quantizing_follows_ggml() {
    let w = values(320, 9);
    let blocks = encode(SourceType::Q8_0, &w).unwrap();
    for (block, w) in blocks.chunks(34).zip(w.chunks(32)) {
        let scale = w.iter().fold(0f32, |max, x| max.max(x.abs())) / 127.0;
        assert_eq!(half::f16::from_le_bytes([block[0], block[1]]), half::f16::from_f32(scale));
        for (q, x) in block[2..].iter().zip(w) {
            assert_eq!(*q as i8, (x * (1.0 / scale)).round() as i8);
        }
    }
    let blocks = encode(SourceType::Q4_0, &w).unwrap();
    for (block, w) in blocks.chunks(18).zip(w.chunks(32)) {
        let extreme = w.iter().fold(0f32, |max, x| if x.abs() > max.abs() { *x } else { max });
        assert_eq!(half::f16::from_le_bytes([block[0], block[1]]), half::f16::from_f32(extreme / -8.0));
    }
}

#[test]
fn rare_block_types_become_the_nearest_of_ours() {
    let (n, k) = (4, 256);
    let w = values(n * k, 11);
    use SourceType::*;
    for (dtype, kind) in [
        (Q4_1, WeightType::Q4),
        (Q5_1, WeightType::Q8),
        (Q4K, WeightType::Q4),
        (Q5K, WeightType::Q8),
        (Q6K, WeightType::Q8),
        (BF16, WeightType::F16),
    ] {
        let blocks = match dtype {
            BF16 => w.iter().flat_map(|&x| half::bf16::from_f32(x).to_le_bytes()).collect(),
            _ => encode(dtype, &w).unwrap(),
        };
        let decls = [decl("m", WeightKind::Matrix { n, k }, &[("m", &[n, k])])];
        let header = header(&[("m", dtype, &[n, k])]);
        let (manifest, _, parts) = round_trip(&decls, &header, &[("m", blocks)], None);
        assert_eq!(manifest.records[0].weight_type, kind);
        let worst = w.iter().zip(&parts[0].2).fold(0f32, |worst, (a, b)| worst.max((a - b).abs()));
        assert!(worst < 0.25, "{dtype:?} {worst}");
    }
}

#[test]
fn merged_parts_take_the_widest_type_and_odd_rows_stay_f16() {
    let decls = [
        decl("qkv", WeightKind::Matrix { n: 8, k: 32 }, &[("q", &[4, 32]), ("k", &[4, 32])]),
        decl("odd", WeightKind::Matrix { n: 4, k: 36 }, &[("odd", &[4, 4, 3, 3])]),
    ];
    let header = header(&[
        ("q", SourceType::Q8_0, &[4, 32]),
        ("k", SourceType::F16, &[4, 32]),
        ("odd", SourceType::F32, &[4, 4, 3, 3]),
    ]);
    let kinds = |forced| {
        plan(&decls, &header, forced).unwrap().records.iter().map(|r| r.weight_type).collect::<Vec<_>>()
    };
    assert_eq!(kinds(None), [WeightType::F16, WeightType::F32]);
    assert_eq!(kinds(Some(WeightType::Q8)), [WeightType::Q8, WeightType::F16]);
}

#[test]
fn large_tables_become_f16_and_slabs_end_at_their_limit() {
    let rows = 49408;
    let mut decls = vec![decl("t", WeightKind::Table { rows, cols: 768 }, &[("t", &[rows, 768])])];
    let names: Vec<String> = (0..4).map(|i| format!("m{i}")).collect();
    for name in &names {
        decls.push(decl(name, WeightKind::Matrix { n: 2560, k: 11520 }, &[(name, &[2560, 1280, 3, 3])]));
    }
    let mut tensors: Vec<(&str, SourceType, &[usize])> = vec![("t", SourceType::F32, &[49408, 768])];
    tensors.extend(names.iter().map(|name| (name.as_str(), SourceType::F16, &[2560usize, 1280, 3, 3][..])));
    let manifest = plan(&decls, &header(&tensors), None).unwrap();
    assert_eq!(manifest.records[0].weight_type, WeightType::F16);
    assert!(manifest.slabs.iter().all(|&len| len <= MAX_SLAB) && manifest.slabs.len() >= 3);
}

#[test]
fn all_problems_are_reported_at_once() {
    let decls = [
        decl("a", WeightKind::Matrix { n: 4, k: 4 }, &[("a", &[4, 4])]),
        decl("b", WeightKind::Matrix { n: 4, k: 4 }, &[("b", &[4, 4])]),
    ];
    let header = header(&[("b", SourceType::F32, &[4, 8]), ("c", SourceType::F32, &[1])]);
    let Err(Error::Tensors { file, problems }) = plan(&decls, &header, None) else { panic!() };
    assert_eq!(file, "m.gguf");
    assert_eq!(
        problems,
        [
            TensorProblem::Missing { name: "a".into(), expected: vec![4, 4] },
            TensorProblem::Shape { name: "b".into(), expected: vec![4, 4], found: vec![4, 8] },
            TensorProblem::Extra { name: "c".into(), found: vec![1] },
        ]
    );
}

#[test]
fn tensors_that_are_unknown_short_double_or_missing_are_errors() {
    let decls = [decl("v", WeightKind::Vector { len: 4 }, &[("v", &[2]), ("w", &[2])])];
    let header = header(&[("v", SourceType::F32, &[2]), ("w", SourceType::F32, &[2])]);
    let manifest = plan(&decls, &header, None).unwrap();
    let mut packer = Packer::new(&manifest, &header);
    assert!(packer.push("x", &[]).unwrap_err().to_string().contains("x"));
    assert!(packer.push("v", &[0; 7]).unwrap_err().to_string().contains("7"));
    assert!(packer.push("v", &[0; 8]).unwrap().is_empty());
    assert!(packer.push("v", &[0; 8]).unwrap_err().to_string().contains("twice"));
    assert!(packer.finish().unwrap_err().to_string().contains("w"));
}

#[test]
fn a_damaged_manifest_does_not_panic() {
    let decls = [decl("m", WeightKind::Matrix { n: 4, k: 32 }, &[("m", &[4, 32])])];
    let header = header(&[("m", SourceType::Q8_0, &[4, 32])]);
    let mut record = plan(&decls, &header, None).unwrap().records.remove(0);
    assert!(unpack(&record, &[0; 100]).is_err());
    record.values.len = 4;
    assert!(unpack(&record, &[0; 4096]).is_err());
    record.values.offset = u64::MAX;
    assert!(unpack(&record, &[0; 4096]).is_err());
}

/// OpenCLIP keeps q, k and v in one tensor: its rows go where those of three would.
#[test]
fn rows_of_a_tensor_are_parts_like_whole_ones() {
    let (hidden, k) = (8, 32);
    let fused = values(3 * hidden * k, 21);
    let bias = values(3 * hidden, 22);
    let rows = |name: &str, tail: &[usize]| -> Vec<Part> {
        let shape = |len: usize| [&[len], tail].concat();
        let part = |i: usize| Part {
            rows: Some(Rows { first: i * hidden, of: 3 * hidden }),
            ..Part::whole(name, shape(hidden))
        };
        (0..3).map(part).collect()
    };
    let merged = |parts: Vec<Part>, kind| WeightDecl { name: "to_qkv".into(), kind, parts };
    let apart = |part: Part, kind| WeightDecl { name: "to_k".into(), kind, parts: vec![part] };
    let in_rows = rows("in_proj", &[k]);
    let decls = [
        merged(in_rows.clone(), WeightKind::Matrix { n: 3 * hidden, k }),
        apart(in_rows[1].clone(), WeightKind::Matrix { n: hidden, k }),
        merged(rows("in_proj_bias", &[]), WeightKind::Vector { len: 3 * hidden }),
    ];
    let whole = [
        decl("to_qkv", WeightKind::Matrix { n: 3 * hidden, k }, &[("in_proj", &[3 * hidden, k])]),
        decl("b", WeightKind::Vector { len: 3 * hidden }, &[("in_proj_bias", &[3 * hidden])]),
    ];
    for (dtype, forced) in [
        (SourceType::F32, None),
        (SourceType::F32, Some(WeightType::Q8)),
        (SourceType::F16, None),
        (SourceType::Q8_0, None),
    ] {
        let data = match dtype {
            SourceType::F32 => bytemuck::cast_slice(&fused).to_vec(),
            SourceType::F16 => fused.iter().flat_map(|x| half::f16::from_f32(*x).to_le_bytes()).collect(),
            _ => encode(dtype, &fused).unwrap(),
        };
        let header =
            header(&[("in_proj", dtype, &[3 * hidden, k]), ("in_proj_bias", SourceType::F32, &[3 * hidden])]);
        let tensors = [("in_proj", data), ("in_proj_bias", bytemuck::cast_slice(&bias).to_vec())];
        let (manifest, slabs, parts) = round_trip(&decls, &header, &tensors, forced);
        let (expected, whole_slabs, wholes) = round_trip(&whole, &header, &tensors, forced);
        let bytes = |manifest: &Manifest, slabs: &[Vec<u8>], at: usize| {
            let record = &manifest.records[at];
            slabs[record.slab][record.values.offset as usize..record.end() as usize].to_vec()
        };
        assert_eq!(bytes(&manifest, &slabs, 0), bytes(&expected, &whole_slabs, 0), "{dtype:?}");
        let middle = hidden * k..2 * hidden * k;
        assert_eq!(parts[3].2, wholes[0].2[middle], "{dtype:?}");
        assert_eq!(parts[4..].iter().flat_map(|part| part.2.clone()).collect::<Vec<_>>(), bias);
    }
    // A part beyond its tensor is a mistake of the declaration, a tensor of another size one of the file.
    let mut beyond = decls[0].clone();
    beyond.parts[2].rows = Some(Rows { first: 2 * hidden + 1, of: 3 * hidden });
    let good = header(&[("in_proj", SourceType::F32, &[3 * hidden, k])]);
    assert!(plan(&[beyond], &good, None).unwrap_err().to_string().contains("does not fit its parts"));
    let short = header(&[("in_proj", SourceType::F32, &[hidden, k])]);
    let error = plan(&decls[..1], &short, None).unwrap_err().to_string();
    assert!(error.contains("[24, 32]") && error.contains("[8, 32]"), "{error}");
}

/// Training leaves averages and schedules in its files: known, so left out; anything else is reported.
#[test]
fn leftovers_are_left_out_and_strangers_reported() {
    let decls = [decl("a", WeightKind::Vector { len: 4 }, &[("a", &[4])])];
    let mut header = header(&[
        ("a", SourceType::F32, &[4]),
        ("model_ema.diffusion_modelx", SourceType::F32, &[4]),
        ("alphas_cumprod", SourceType::F32, &[1000]),
    ]);
    let other = |name: &str, dtype: &str| OtherTensor { name: name.into(), dtype: dtype.into(), bytes: None };
    header.others.push(other("model_ema.num_updates", "I64"));
    plan(&decls, &header, None).unwrap();
    assert_eq!(unused(&header, &decls).leftovers.len(), 3);
    header.others.push(other("counter", "I32"));
    let Err(Error::Tensors { problems, .. }) = plan(&decls, &header, None) else { panic!() };
    assert_eq!(problems, [TensorProblem::Type { name: "counter".into(), found: "I32".into() }]);
    assert_eq!(unused(&header, &decls).unknown, ["counter"]);
}

/// Records lie in the order in which a file completes them, whatever the order of their declarations.
#[test]
fn records_lie_in_the_order_in_which_they_complete() {
    let decls = [
        decl("late", WeightKind::Vector { len: 8 }, &[("l0", &[4]), ("l1", &[4])]),
        decl("b", WeightKind::Vector { len: 4 }, &[("b", &[4])]),
        decl("a", WeightKind::Vector { len: 4 }, &[("a", &[4])]),
    ];
    let f32s: Vec<(&str, SourceType, &[usize])> =
        ["a", "l0", "b", "l1"].iter().map(|name| (*name, SourceType::F32, &[4usize][..])).collect();
    let manifest = plan(&decls, &header(&f32s), None).unwrap();
    let names: Vec<&str> = manifest.records.iter().map(|record| record.decl.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "late"]);
    assert!(manifest.records.windows(2).all(|pair| pair[0].end() <= pair[1].values.offset));
}

#[test]
fn a_table_that_is_its_record_already_is_not_copied() {
    let shape: &[usize] = &[6, 8];
    for (dtype, to) in [(SourceType::F16, WeightType::F16), (SourceType::F32, WeightType::F32)] {
        let decls = [decl("t", WeightKind::Table { rows: 6, cols: 8 }, &[("t", shape)])];
        let header = header(&[("t", dtype, shape)]);
        let manifest = plan(&decls, &header, None).unwrap();
        assert_eq!(manifest.records[0].weight_type, to);
        let bytes: Vec<u8> = (0..header.tensors[0].len).map(|byte| byte as u8).collect();
        let borrowed = Packer::new(&manifest, &header).push("t", &bytes).unwrap();
        let place = bytes.as_ptr();
        let owned = Packer::new(&manifest, &header).push("t", bytes).unwrap();
        assert_eq!(owned[0].bytes.as_ptr(), place);
        assert_eq!(owned, borrowed);
    }
}
