// x · sigmoid(x), without overflow of the exponential
fn silu(x: Lanes) -> Lanes {
    return x / (Lanes(1.0) + exp(min(-x, Lanes(80.0))));
}
