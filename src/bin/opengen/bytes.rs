//! Amounts of memory on the command line.

/// Units and their bytes.
const UNITS: [(&str, u64); 8] = [
    ("B", 1),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

/// Reads `1GB`, `1.5 GiB`, `700MB`: a number and its unit.
pub fn bytes(text: &str) -> Result<u64, String> {
    let expected = || {
        format!(
            "{text:?} is no amount of memory; expected a number and B, kB, MB, GB, MiB or GiB, such as 1.5GB"
        )
    };
    let text = text.trim();
    let unit = text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(expected)?;
    let (number, unit) = text.split_at(unit);
    let known = |(name, _): &&(&str, u64)| *name == unit.trim_start();
    let (_, each) = UNITS.iter().find(known).ok_or_else(expected)?;
    let bytes = number.parse::<f64>().map_err(|_| expected())? * *each as f64;
    if bytes < 1.0 {
        return Err(format!("{text:?} is less than a byte"));
    }
    if bytes > (1u64 << 50) as f64 {
        return Err(format!("{text:?} is more than any device has"));
    }
    Ok(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn a_number_and_a_unit() {
        for (text, expected) in [
            ("1GB", 1_000_000_000),
            ("1.5 GB", 1_500_000_000),
            (" 700MB ", 700_000_000),
            ("2GiB", 2 << 30),
            ("512 MiB", 512 << 20),
            ("4096B", 4096),
            ("0.5kB", 500),
        ] {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn all_else_is_refused_by_name() {
        for text in
            ["", "1", "GB", "1gb", "1 TB", "-1GB", "1..5GB", "1,5GB", "1GB more", "NaNGB", "0GB", "9999999GB"]
        {
            let error = bytes(text).unwrap_err();
            assert!(error.contains(&format!("{:?}", text)), "{text:?}: {error}");
        }
    }
}
