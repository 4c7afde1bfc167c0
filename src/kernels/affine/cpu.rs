//! The twin of the affine kernel.

use super::{Op, Params};

/// `[N, HW, Cout]` from a selection of the channels of `[N, HW, Cin]`, zeros in channels beyond the selection.
pub fn affine(op: Op, params: &Params, input: &[f32]) -> Vec<f32> {
    let mut output = Vec::new();
    for pixel in input.chunks_exact(params.input_channels as usize) {
        for channel in 0..params.output_channels {
            if channel < params.channels {
                let y = pixel[(params.input_offset + channel) as usize] * params.scale + params.shift;
                output.push(match op {
                    Op::Affine => y,
                    Op::TanhClamp => (y / 3.0).tanh() * 3.0,
                });
            } else {
                output.push(0.0);
            }
        }
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_selected_mapped_and_padded() {
        let params = Params {
            pixels: 2,
            input_channels: 4,
            input_offset: 1,
            output_channels: 3,
            channels: 2,
            scale: 2.0,
            shift: 1.0,
        };
        let y = affine(Op::Affine, &params, &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
        assert_eq!(y, [3.0, 5.0, 0.0, 11.0, 13.0, 0.0]);
    }
}
