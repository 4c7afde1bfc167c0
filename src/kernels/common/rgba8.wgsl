// A colour in [-1, 1] as RGBA8, R in the low byte, opaque; rounds half to even as diffusers does.
fn rgba8(color: vec3<f32>) -> u32 {
    let level = vec3<u32>(round(clamp(color * 0.5 + 0.5, vec3<f32>(0.0), vec3<f32>(1.0)) * 255.0));
    return level.x | (level.y << 8u) | (level.z << 16u) | 0xff000000u;
}
