//! One op to its kernel launches: which kernel, which specialisation, which parameters.

use super::graph::{Conv, Gemm, Node, Op};
use super::lower::{Launch, Lowering, Operand};
use crate::error::Result;
use crate::kernels::gemm::{self, Source, Variant};

/// Appends the launches of one node.
pub fn node(l: &mut Lowering, node: &Node) -> Result<()> {
    match &node.op {
        Op::Gemm(op) => gemm(l, node, op),
        _ => todo!(),
    }
    Ok(())
}

fn gemm(l: &mut Lowering, node: &Node, op: &Gemm) {
    let (from, to) = (l.shape(op.x), l.shape(node.output));
    let source = match (op.conv, op.x2) {
        (Some(Conv { upsample: Some(_), .. }), _) => Source::ConvUpsample,
        (Some(_), _) => Source::Conv,
        (None, Some(_)) => Source::Concat,
        (None, None) => Source::Rows,
    };
    let second = op.x2.map_or(0, |v| l.shape(v).c);
    let taps = op.conv.map_or(1, |conv| conv.kernel * conv.kernel);
    let m = to.rows();
    let n = if op.geglu { 2 * to.c } else { to.c };
    let k = taps * from.c + second;
    let spec = gemm::Spec {
        elem: l.target.elem,
        weight: l.weight_type(op.weight),
        variant: variant(l.target.cpu, m),
        source,
        bias: op.bias.is_some(),
        time: op.time.is_some(),
        residual: op.residual.is_some(),
        act: op.act,
        act_last: op.act_last,
        geglu: op.geglu,
    };
    let conv = op.conv.unwrap_or(Conv { kernel: 1, stride: 1, pad_top: 0, pad_left: 0, upsample: None });
    let params = gemm::Params {
        m: m as u32,
        n: n as u32,
        k4: (k / 4) as u32,
        a_c4: (from.c / 4) as u32,
        a2_c4: (second / 4) as u32,
        in_h: from.h as u32,
        in_w: from.w as u32,
        out_h: to.h as u32,
        out_w: to.w as u32,
        kernel_w: conv.kernel as u32,
        taps: taps as u32,
        stride: conv.stride as u32,
        pad_top: conv.pad_top as u32,
        pad_left: conv.pad_left as u32,
        rows_per_image: (to.h * to.w) as u32,
        time_offset: op.time.map_or(0, |(_, offset)| offset) as u32,
    };
    let mut operands = vec![Operand::Read(op.x)];
    operands.extend(op.x2.map(Operand::Read));
    operands.push(Operand::Weight(op.weight));
    operands.extend(spec.weight.is_quantized().then_some(Operand::Scales(op.weight)));
    operands.extend(op.bias.map(Operand::Weight));
    operands.extend(op.time.map(|(value, _)| Operand::Read(value)));
    operands.extend(op.residual.map(Operand::Read));
    operands.push(Operand::Write(node.output));
    l.launches.push(Launch {
        label: node.path.clone(),
        workgroups: gemm::workgroups(&spec, &params),
        kernel: spec.into(),
        params: params.bytes().to_vec(),
        operands,
        flops: 2 * (m * n * k) as u64,
    });
}

/// The tile for an output of `m` rows: workgroup memory pays on GPUs and for whole tiles only.
fn variant(cpu: bool, m: usize) -> Variant {
    match (cpu, m) {
        (_, 0..=3) => Variant::Direct { tm: 1, tn: 4 },
        (true, _) | (false, 4..=15) => Variant::Direct { tm: 4, tn: 4 },
        (false, _) => Variant::Tiled,
    }
}
