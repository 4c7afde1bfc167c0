//! Prints how long hostile inputs take, each length twice the one before: times double, they do not square.

mod inputs;
mod time;

fn main() {
    println!("{:<24} {:<32} {:>10} {:>10} {:>10} {:>8}", "reader", "made of", "n/4", "n/2", "n", "n bytes");
    for hostile in inputs::all() {
        let [quarter, half, whole] = [4, 2, 1]
            .map(|part| format!("{:.2} ms", time::least(&hostile, hostile.most / part).as_secs_f64() * 1e3));
        let unit: String = format!("{:?}", hostile.unit).chars().take(32).collect();
        println!(
            "{:<24} {unit:<32} {quarter:>10} {half:>10} {whole:>10} {:>8}",
            hostile.reader, hostile.most
        );
    }
}
