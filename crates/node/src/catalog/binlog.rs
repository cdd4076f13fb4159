//! Places in the binary log of MySQL and MariaDB, which is a row of numbered files.

/// A place as one number: the number of the file and, below it, the place in the file. Nothing if that is not the name of such a file,
/// which ends with a point and its number, or either has more than 32 bits.
pub fn binlog_position(file: &str, position: u64) -> Option<u64> {
    let (_, digits) = file.rsplit_once('.')?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number: u32 = is_number.then(|| digits.parse().ok()).flatten()?;
    let position = u32::try_from(position).ok()?;
    Some((u64::from(number) << 32) | u64::from(position))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_file_is_a_later_place() {
        for (file, position, expected) in [
            ("mysql-bin.000003", 4_711, Some((3 << 32) + 4_711)),
            ("a.b.1000000", 4, Some((1_000_000 << 32) + 4)),
            ("mysql-bin.000003", u64::from(u32::MAX) + 1, None),
            ("mysql-bin.4294967296", 4, None),
            ("mysql-bin.", 4, None),
            ("mysql-bin.+1", 4, None),
            ("mysql-bin", 4, None),
            ("", 4, None),
        ] {
            assert_eq!(binlog_position(file, position), expected, "{file}:{position}");
        }
    }
}
