// strides and offsets in elements, all multiples of 4
struct Params {
    batch: u32,
    heads: u32,
    queries: u32,
    keys: u32,
    q_stride: u32,
    q_offset: u32,
    kv_stride: u32,
    kv_batch_stride: u32,
    kv_images: u32,
    k_offset: u32,
    v_offset: u32,
    scale: f32,
}
