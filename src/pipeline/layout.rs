//! Between the host's NCHW f32 and the engines' NHWC elements.

#[cfg(feature = "gpu")]
use half::f16;

#[cfg(feature = "gpu")]
use crate::kernels::Elem;

/// `[n, c, hw]` to `[n, hw, padded]`, extra channels zero.
pub fn nchw_to_nhwc(values: &[f32], n: usize, c: usize, hw: usize, padded: usize) -> Vec<f32> {
    let mut out = vec![0.0; n * hw * padded];
    for image in 0..n {
        for channel in 0..c {
            let plane = &values[(image * c + channel) * hw..][..hw];
            for (i, value) in plane.iter().enumerate() {
                out[(image * hw + i) * padded + channel] = *value;
            }
        }
    }
    out
}

/// `[n, hw, padded]` to `[n, c, hw]`, extra channels dropped.
pub fn nhwc_to_nchw(values: &[f32], n: usize, c: usize, hw: usize, padded: usize) -> Vec<f32> {
    let mut out = vec![0.0; n * c * hw];
    for image in 0..n {
        for channel in 0..c {
            for i in 0..hw {
                out[(image * c + channel) * hw + i] = values[(image * hw + i) * padded + channel];
            }
        }
    }
    out
}

/// Host values as the device stores them.
#[cfg(feature = "gpu")]
pub fn to_bytes(values: &[f32], elem: Elem) -> Vec<u8> {
    match elem {
        Elem::F32 => bytemuck::cast_slice(values).to_vec(),
        Elem::F16 => values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect(),
    }
}

/// Device bytes as host values.
#[cfg(feature = "gpu")]
pub fn from_bytes(bytes: &[u8], elem: Elem) -> Vec<f32> {
    match elem {
        Elem::F32 => bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
        Elem::F16 => bytes.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
    }
}

#[cfg(all(test, feature = "gpu"))]
mod tests {
    use super::*;

    #[test]
    fn layouts_are_each_others_inverse() {
        let values: Vec<f32> = (0..2 * 3 * 5).map(|i| i as f32).collect();
        let device = nchw_to_nhwc(&values, 2, 3, 5, 4);
        assert_eq!(device[..4], [0.0, 5.0, 10.0, 0.0]);
        assert_eq!(nhwc_to_nchw(&device, 2, 3, 5, 4), values);
        for elem in [Elem::F32, Elem::F16] {
            assert_eq!(from_bytes(&to_bytes(&values, elem), elem), values);
        }
    }
}
