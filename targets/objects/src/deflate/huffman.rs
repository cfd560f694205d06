//! Code lengths from frequencies, and codes from code lengths.

/// Writes the length of each symbol's code, at most `longest` bits; 0 for symbols that do not occur.
///
/// Two symbols get codes even if fewer occur: some decoders refuse a code that is not complete.
pub(super) fn lengths(counts: &[u32], longest: u32, lengths: &mut [u8]) {
    lengths.fill(0);
    let mut leaves = [0_u64; 288];
    let mut used = 0;
    for (symbol, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        leaves[used] = u64::from(*count) << 16 | symbol as u64;
        used += 1;
    }
    if used < 2 {
        let only = if used == 1 {
            (leaves[0] & 0xffff) as usize
        } else {
            0
        };
        lengths[only] = 1;
        lengths[usize::from(only == 0)] = 1;
        return;
    }
    let leaves = &mut leaves[..used];
    leaves.sort_unstable();
    let mut of_length = count_lengths(leaves, longest);
    // The rarest symbols get the longest codes.
    let mut length = longest as usize;
    for leaf in leaves {
        while of_length[length] == 0 {
            length -= 1;
        }
        of_length[length] -= 1;
        lengths[(*leaf & 0xffff) as usize] = length as u8;
    }
}

/// How many codes of each length there are, for leaves sorted by their counts (from bit 16).
fn count_lengths(leaves: &[u64], longest: u32) -> [u32; 16] {
    let depths = depths(leaves);
    let mut of_length = [0_u32; 16];
    for depth in &depths[..leaves.len()] {
        of_length[(*depth).min(longest) as usize] += 1;
    }
    // Codes that were cut to the limit take more room than there is, in units of the longest. Making one of
    // a shorter code's place room for two, and one of the longest its sibling, gives one unit back.
    let mut room: u32 = (1..=longest)
        .map(|length| of_length[length as usize] << (longest - length))
        .sum();
    while room > 1 << longest {
        let mut length = longest as usize - 1;
        while of_length[length] == 0 {
            length -= 1;
        }
        of_length[length] -= 1;
        of_length[length + 1] += 2;
        of_length[longest as usize] -= 1;
        room -= 1;
    }
    of_length
}

/// The depth of each leaf in Huffman's tree.
fn depths(leaves: &[u64]) -> [u32; 288] {
    // Inner nodes come in the order of their weights, so that two queues are enough.
    let mut weights = [0_u64; 288];
    let mut leaf_parent = [0_u16; 288];
    let mut inner_parent = [0_u16; 288];
    let (mut leaf, mut inner) = (0, 0);
    let last = leaves.len() - 1;
    for made in 0..last {
        let mut weight = 0;
        for _ in 0..2 {
            let of_leaf = leaves.get(leaf).map_or(u64::MAX, |leaf| leaf >> 16);
            if inner < made && weights[inner] < of_leaf {
                weight += weights[inner];
                inner_parent[inner] = made as u16;
                inner += 1;
            } else {
                weight += of_leaf;
                leaf_parent[leaf] = made as u16;
                leaf += 1;
            }
        }
        weights[made] = weight;
    }
    let mut inner_depth = [0_u32; 288];
    for node in (0..last - 1).rev() {
        inner_depth[node] = inner_depth[usize::from(inner_parent[node])] + 1;
    }
    leaf_parent.map(|parent| inner_depth[usize::from(parent)] + 1)
}

/// Writes the code of each symbol, its first bit lowest.
pub(super) fn codes(lengths: &[u8], codes: &mut [u16]) {
    let mut of_length = [0_u32; 16];
    for length in lengths {
        of_length[usize::from(length & 15)] += 1;
    }
    of_length[0] = 0;
    let mut next = [0_u32; 16];
    for length in 1..16 {
        next[length] = (next[length - 1] + of_length[length - 1]) << 1;
    }
    for (length, code) in lengths.iter().zip(codes) {
        let next = &mut next[usize::from(length & 15)];
        if *length > 0 {
            *code = (*next as u16).reverse_bits() >> (16 - u32::from(*length));
            *next += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;

    use proptest::prelude::*;

    use super::*;

    /// Bits of all symbols with the best code of any length, by the book.
    fn best(counts: &[u32]) -> u64 {
        let used = counts.iter().filter(|count| **count > 0);
        let mut heap: BinaryHeap<_> = used.map(|count| Reverse(u64::from(*count))).collect();
        let mut cost = 0;
        while let (Some(Reverse(one)), Some(Reverse(other))) = (heap.pop(), heap.pop()) {
            cost += one + other;
            heap.push(Reverse(one + other));
        }
        cost
    }

    fn cost(counts: &[u32], lengths: &[u8]) -> u64 {
        let pairs = counts.iter().zip(lengths);
        pairs
            .map(|(count, length)| u64::from(*count) * u64::from(*length))
            .sum()
    }

    fn checked(counts: &[u32], longest: u32) -> Vec<u8> {
        let mut found = vec![0; counts.len()];
        lengths(counts, longest, &mut found);
        let used = found.iter().filter(|length| **length > 0);
        let room: u64 = used.map(|length| 1 << (longest - u32::from(*length))).sum();
        assert_eq!(room, 1 << longest, "complete");
        for (count, length) in counts.iter().zip(&found) {
            assert!(*count == 0 || *length > 0, "all that occur have codes");
            assert!(u32::from(*length) <= longest);
        }
        found
    }

    #[test]
    fn fewer_than_two_symbols() {
        assert_eq!(checked(&[0, 0, 0], 15), [1, 1, 0]);
        assert_eq!(checked(&[7, 0, 0], 15), [1, 1, 0]);
        assert_eq!(checked(&[0, 0, 7], 15), [1, 0, 1]);
    }

    #[test]
    fn fibonacci_within_the_limit() {
        let mut counts = vec![1, 1];
        for at in 2..30 {
            counts.push(counts[at - 1] + counts[at - 2]);
        }
        for longest in 5..=15 {
            let found = checked(&counts, longest);
            let limited = cost(&counts, &found);
            assert!(limited >= best(&counts));
            assert!(found.is_sorted_by(|one, other| one >= other));
        }
    }

    proptest! {
        #[test]
        fn best_unless_limited(
            counts in prop::collection::vec(prop_oneof![Just(0), 0..9_u32, 0..70_000_u32], 2..286),
        ) {
            let found = checked(&counts, 15);
            if found.iter().all(|length| *length < 15) && counts.iter().filter(|c| **c > 0).count() > 1 {
                prop_assert_eq!(cost(&counts, &found), best(&counts));
            }
            if counts.len() <= 19 {
                checked(&counts, 7);
            }
        }
    }
}
