// The workgroup's number in a grid whose x was folded into y to stay within 65535 (`grid::fold` in Rust).
fn linear_workgroup(id: vec3<u32>, grid: vec3<u32>) -> u32 {
    return id.x + id.y * grid.x;
}
