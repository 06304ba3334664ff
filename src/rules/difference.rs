//! Compares texts line by line: two as a unified diff, three as a merge.
//! Owns: how differences are written down. Uses: similar. Never: knows what a line means.

use similar::{ConflictStyle, DiffTag, TextDiff, TextMerge};

/// Two texts as a unified diff; empty when they are the same.
pub fn unified(path: &str, old: &str, new: &str) -> String {
    let diff = TextDiff::from_lines(old, new);
    let (from, to) = (format!("a/{path}"), format!("b/{path}"));
    diff.unified_diff().header(&from, &to).to_string()
}

/// How many lines a change adds and takes away.
pub fn count(old: &str, new: &str) -> (usize, usize) {
    let diff = TextDiff::from_lines(old, new);
    diff.ops().iter().fold((0, 0), |(added, removed), op| {
        if op.tag() == DiffTag::Equal {
            (added, removed)
        } else {
            (added + op.new_range().len(), removed + op.old_range().len())
        }
    })
}

/// Two changes of one text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreeWay {
    /// What they did to the common text.
    pub theirs: String,
    /// What you did to it.
    pub yours: String,
    /// Both together; where both changed the same lines, all three versions between `<<<<<<<` and `>>>>>>>`.
    pub merged: String,
    /// How many such places there are.
    pub conflicts: usize,
}

/// Compares two changes of one text.
pub fn three_way(path: &str, common: &str, theirs: &str, yours: &str) -> ThreeWay {
    let mut merge = TextMerge::from_lines(common, yours, theirs);
    merge
        .conflict_style(ConflictStyle::Diff3)
        .labels("common", "yours", "theirs");
    ThreeWay {
        theirs: unified(path, common, theirs),
        yours: unified(path, common, yours),
        merged: merge.to_string(),
        conflicts: merge.conflict_count(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMON: &str = "甲\n乙\n丙\n丁\n戊\n";

    #[test]
    fn the_same_text_differs_in_nothing() {
        assert_eq!(unified("a", COMMON, COMMON), "");
        assert_eq!(count(COMMON, COMMON), (0, 0));
    }

    #[test]
    fn changes_of_different_lines_merge() {
        let three = three_way(
            "a.toml",
            COMMON,
            "甲!\n乙\n丙\n丁\n戊\n",
            "甲\n乙\n丙\n丁\n戊!\n",
        );
        assert_eq!(three.merged, "甲!\n乙\n丙\n丁\n戊!\n");
        assert_eq!(three.conflicts, 0);
        insta::assert_snapshot!(three.theirs, @r"
        --- a/a.toml
        +++ b/a.toml
        @@ -1,4 +1,4 @@
        -甲
        +甲!
         乙
         丙
         丁
        ");
    }

    #[test]
    fn changes_of_the_same_line_are_shown_side_by_side() {
        let three = three_way(
            "a.toml",
            COMMON,
            "甲\n乙\n他\n丁\n戊\n",
            "甲\n乙\n我\n丁\n戊\n",
        );
        assert_eq!(three.conflicts, 1);
        insta::assert_snapshot!(three.merged, @r"
        甲
        乙
        <<<<<<< yours
        我
        ||||||| common
        丙
        =======
        他
        >>>>>>> theirs
        丁
        戊
        ");
        assert_eq!(count(COMMON, "甲\n乙\n我\n我们\n丁\n戊\n"), (2, 1));
    }
}
