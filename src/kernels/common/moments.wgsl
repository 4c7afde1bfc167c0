// Mean and spread of many values in one pass (Welford 1962; combined as in Chan, Golub and LeVeque 1979), f32.

// x: mean, y: sum of squared deviations from it, z: how many values.
alias Moments = vec3<f32>;

fn combine(a: Moments, b: Moments) -> Moments {
    let count = a.z + b.z;
    let share = b.z / max(count, 1.0);
    let delta = b.x - a.x;
    return Moments(a.x + delta * share, a.y + b.y + delta * delta * a.z * share, count);
}
