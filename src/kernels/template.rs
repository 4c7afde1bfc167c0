//! How a kernel's WGSL is specialised: its file is a template, its specialisation struct the template's context.
//!
//! Templates use only what leaves them readable as WGSL: constants (`{{ name }}`), conditions, unrolled loops
//! and `{% include "common/….wgsl" %}` for the helpers that several kernels share.

use minijinja::{Environment, Error, UndefinedBehavior, filters, functions, tests as is};
use serde::Serialize;

/// The files kernels may include, by the name they include them with.
const INCLUDES: &[(&str, &str)] = &[
    ("attention/blocked.wgsl", include_str!("attention/blocked.wgsl")),
    ("attention/params.wgsl", include_str!("attention/params.wgsl")),
    ("attention/rows.wgsl", include_str!("attention/rows.wgsl")),
    ("attention/tiled.wgsl", include_str!("attention/tiled.wgsl")),
    ("common/elem.wgsl", include_str!("common/elem.wgsl")),
    ("common/lanes.wgsl", include_str!("common/lanes.wgsl")),
    ("common/linear.wgsl", include_str!("common/linear.wgsl")),
    ("common/moments.wgsl", include_str!("common/moments.wgsl")),
    ("common/rgba8.wgsl", include_str!("common/rgba8.wgsl")),
    ("common/silu.wgsl", include_str!("common/silu.wgsl")),
    ("common/workgroup_moments.wgsl", include_str!("common/workgroup_moments.wgsl")),
    ("gemm/activation.wgsl", include_str!("gemm/activation.wgsl")),
    ("gemm/direct.wgsl", include_str!("gemm/direct.wgsl")),
    ("gemm/direct_step.wgsl", include_str!("gemm/direct_step.wgsl")),
    ("gemm/epilogue.wgsl", include_str!("gemm/epilogue.wgsl")),
    ("gemm/outer.wgsl", include_str!("gemm/outer.wgsl")),
    ("gemm/tiled.wgsl", include_str!("gemm/tiled.wgsl")),
    ("gemm/weight.wgsl", include_str!("gemm/weight.wgsl")),
    ("gemm/weight_block.wgsl", include_str!("gemm/weight_block.wgsl")),
    ("group_norm/by_group.wgsl", include_str!("group_norm/by_group.wgsl")),
    ("group_norm/by_slice.wgsl", include_str!("group_norm/by_slice.wgsl")),
    ("group_norm/held.wgsl", include_str!("group_norm/held.wgsl")),
    ("winograd/input.wgsl", include_str!("winograd/input.wgsl")),
    ("winograd/output.wgsl", include_str!("winograd/output.wgsl")),
    ("winograd/weight.wgsl", include_str!("winograd/weight.wgsl")),
];

/// Those that a page has no use for.
#[cfg(not(target_arch = "wasm32"))]
const NATIVE: &[(&str, &str)] = &[
    ("gemm/matrices.wgsl", include_str!("gemm/matrices.wgsl")),
    ("gemm/matrices_load.wgsl", include_str!("gemm/matrices_load.wgsl")),
    ("gemm/weight_half.wgsl", include_str!("gemm/weight_half.wgsl")),
];

/// The WGSL of kernel `name`: its template `source` filled in from the specialisation.
///
/// # Panics
///
/// When the template itself is wrong (unknown name, bad syntax). Templates are part of the program and every
/// specialisation is rendered by a test, so this does not depend on input.
pub fn render(name: &str, source: &str, spec: &impl Serialize) -> String {
    match try_render(name, source, spec) {
        Ok(wgsl) => wgsl,
        Err(error) => panic!("template of kernel {name}: {error:#}"),
    }
}

fn try_render(name: &str, source: &str, spec: &impl Serialize) -> Result<String, Error> {
    // What templates use of the language's library, and no more: a visitor fetches it.
    let mut environment = Environment::empty();
    environment.add_filter("int", filters::int);
    environment.add_filter("max", filters::max);
    environment.add_filter("min", filters::min);
    environment.add_filter("replace", filters::replace);
    environment.add_function("namespace", functions::namespace);
    environment.add_function("range", functions::range);
    environment.add_test("mapping", is::is_mapping);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    environment.set_keep_trailing_newline(true);
    // Browsers want to be told of extensions that naga refuses to be told of.
    environment.add_global("browser", cfg!(target_arch = "wasm32"));
    #[cfg(not(target_arch = "wasm32"))]
    for &(name, source) in NATIVE {
        environment.add_template(name, source)?;
    }
    for &(name, source) in INCLUDES {
        environment.add_template(name, source)?;
    }
    environment.render_named_str(name, source, spec)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::Elem;

    #[derive(Serialize)]
    struct Spec {
        elem: Elem,
        count: usize,
    }

    const SOURCE: &str = "{% include \"common/elem.wgsl\" %}\n{% for i in range(count) %}\nvar a{{ i }}: elem;\n{% endfor %}\n";

    #[test]
    fn constants_loops_and_includes_are_filled_in() {
        let wgsl = render("test", SOURCE, &Spec { elem: Elem::F16, count: 2 });
        assert_eq!(wgsl, "enable f16;\nalias elem = f16;\nvar a0: elem;\nvar a1: elem;\n");
        let wgsl = render("test", SOURCE, &Spec { elem: Elem::F32, count: 0 });
        assert_eq!(wgsl, "alias elem = f32;\n");
    }

    #[test]
    #[should_panic(expected = "template of kernel test")]
    fn an_unknown_name_is_not_silently_empty() {
        render("test", "{{ typo }}", &Spec { elem: Elem::F32, count: 0 });
    }
}
