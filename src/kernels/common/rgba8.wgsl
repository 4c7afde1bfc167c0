// A colour in [-1, 1] as RGBA8, R in the low byte; rounds half to even as diffusers does. Opaque, but transparent where
// the colour is infinite or no number: that is how the host learns of an overflow.
fn rgba8(color: vec3<f32>) -> u32 {
    let level = vec3<u32>(round(clamp(color * 0.5 + 0.5, vec3<f32>(0.0), vec3<f32>(1.0)) * 255.0));
    // By its bits: a compiler may assume that every comparison is between numbers.
    let exponent = bitcast<vec3<u32>>(color) & vec3<u32>(0x7f800000u);
    let alpha = select(0xff000000u, 0u, any(exponent == vec3<u32>(0x7f800000u)));
    return level.x | (level.y << 8u) | (level.z << 16u) | alpha;
}
