//! Every kernel in every specialisation is valid WGSL, and its parameters lie where Rust puts them.

use std::collections::HashSet;
use std::sync::LazyLock;

use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Module, TypeInner};

use super::{Kernel, gemm};

/// A specialised kernel as naga sees it.
struct Parsed {
    kernel: Kernel,
    module: Module,
    info: ModuleInfo,
}

/// Every kernel in every specialisation, parsed and validated once for all tests.
static PARSED: LazyLock<Vec<Parsed>> = LazyLock::new(|| Kernel::all().into_iter().map(parse).collect());

fn parse(kernel: Kernel) -> Parsed {
    let source = kernel.source();
    let module = naga::front::wgsl::parse_str(&source)
        .unwrap_or_else(|error| panic!("{kernel:?}: {}\n{source}", error.emit_to_string(&source)));
    // f16 and subgroups where the adapter has them; unpack2x16float is everywhere
    let capabilities = Capabilities::SHADER_FLOAT16
        | Capabilities::SHADER_FLOAT16_IN_FLOAT32
        | Capabilities::SUBGROUP
        | Capabilities::COOPERATIVE_MATRIX;
    let info = Validator::new(ValidationFlags::all(), capabilities)
        .validate(&module)
        .unwrap_or_else(|error| panic!("{kernel:?}: {}\n{source}", error.emit_to_string(&source)));
    Parsed { kernel, module, info }
}

/// The name WGSL gives a scalar type.
fn scalar_name(inner: &TypeInner) -> &'static str {
    match *inner {
        TypeInner::Scalar(naga::Scalar::U32) => "u32",
        TypeInner::Scalar(naga::Scalar::I32) => "i32",
        TypeInner::Scalar(naga::Scalar::F32) => "f32",
        _ => "something else",
    }
}

#[test]
fn every_specialisation_is_valid() {
    for Parsed { kernel, module, .. } in PARSED.iter() {
        assert_eq!(module.entry_points.len(), 1, "{kernel:?}");
        assert_eq!(module.entry_points[0].name, Kernel::ENTRY_POINT);
    }
}

#[test]
fn params_match_their_wgsl() {
    for Parsed { kernel, module, .. } in PARSED.iter() {
        let params = module.types.iter().find(|(_, ty)| ty.name.as_deref() == Some("Params"));
        let Some((_, naga::Type { inner: TypeInner::Struct { members, .. }, .. })) = params else {
            panic!("{kernel:?} has no struct Params");
        };
        let found: Vec<_> = members
            .iter()
            .map(|m| (m.name.as_deref().unwrap_or(""), scalar_name(&module.types[m.ty].inner), m.offset))
            .collect();
        let declared: Vec<_> =
            kernel.fields().iter().enumerate().map(|(i, &(name, ty))| (name, ty, 4 * i as u32)).collect();
        assert_eq!(found, declared, "{kernel:?}");
    }
}

/// Auto layouts leave out what the entry point does not use, and the executor binds everything in order.
#[test]
fn every_binding_is_used_and_numbered_in_order() {
    for Parsed { kernel, module, info } in PARSED.iter() {
        let mut storage = 0;
        for (index, (handle, variable)) in
            module.global_variables.iter().filter(|(_, v)| v.binding.is_some()).enumerate()
        {
            let binding = variable.binding.unwrap();
            assert_eq!((binding.group, binding.binding), (0, index as u32), "{kernel:?} {:?}", variable.name);
            assert!(
                !info.get_entry_point(0)[handle].is_empty(),
                "{kernel:?} leaves {:?} unused",
                variable.name
            );
            assert_eq!(matches!(variable.space, AddressSpace::Uniform), index == 0, "{kernel:?}");
            storage += usize::from(index > 0);
        }
        assert!(storage <= 8, "{kernel:?} binds {storage} storage buffers");
    }
}

/// WebGPU's default limits: 16 KiB of workgroup memory and 256 invocations. With matrix units more memory is asked for.
#[test]
fn default_limits_suffice() {
    for Parsed { kernel, module, .. } in PARSED.iter() {
        let mut layouter = naga::proc::Layouter::default();
        layouter.update(module.to_ctx()).unwrap();
        let shared = module.global_variables.iter().filter(|(_, v)| v.space == AddressSpace::WorkGroup);
        let bytes: u32 = shared.map(|(_, v)| layouter[v.ty].size).sum();
        let most = if kernel.uses_matrices() { gemm::MATRICES_WORKGROUP_BYTES } else { 16 << 10 };
        assert!(bytes <= most, "{kernel:?} wants {bytes} bytes of workgroup memory");
        let invocations: u32 = module.entry_points[0].workgroup_size.iter().product();
        assert!(invocations <= 256, "{kernel:?} has {invocations} invocations");
    }
}

#[test]
fn specialisations_are_listed_once() {
    let all = Kernel::all();
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
}
