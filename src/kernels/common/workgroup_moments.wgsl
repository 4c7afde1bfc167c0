var<workgroup> shared_moments: array<Moments, {{ threads }}>;

// The moments of all invocations of the workgroup together; every invocation must call it.
fn combine_workgroup(local: u32, own: Moments) -> Moments {
    shared_moments[local] = own;
    for (var reach = {{ threads // 2 }}u; reach > 0u; reach /= 2u) {
        workgroupBarrier();
        if (local < reach) {
            shared_moments[local] = combine(shared_moments[local], shared_moments[local + reach]);
        }
    }
    workgroupBarrier();
    return shared_moments[0];
}
