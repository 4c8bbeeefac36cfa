//! Names that someone may have meant.

/// The one of `names` that `name` is most likely a slip of, if any is close: a letter more, less or other for every
/// three, or two that changed places.
pub(super) fn similar<'n>(name: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let lower = name.to_lowercase();
    let distances = names
        .into_iter()
        .map(|other| (distance(&lower, &other.to_lowercase()), other));
    let (distance, closest) = distances.min()?;
    (distance <= name.chars().count().div_ceil(3)).then_some(closest)
}

/// ` (did you mean 'closest'?)`, or nothing.
pub(super) fn suggestion<'n>(name: &str, names: impl IntoIterator<Item = &'n str>) -> String {
    similar(name, names).map_or_else(String::new, |closest| format!("; did you mean '{closest}'?"))
}

/// The longest name that is compared, in characters: the work grows with the product of both.
const MAX_LENGTH: usize = 80;

/// How many characters must be added, removed, replaced or swapped with their neighbour.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().take(MAX_LENGTH).collect();
    let right: Vec<char> = right.chars().take(MAX_LENGTH).collect();
    let mut rows = vec![(0..=right.len()).collect::<Vec<usize>>()];
    for (i, l) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, r) in right.iter().enumerate() {
            let replaced = rows[i][j] + usize::from(l != r);
            let mut least = replaced.min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *l == right[j - 1] && left[i - 1] == *r {
                least = least.min(rows[i - 1][j - 1] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[left.len()][right.len()]
}
