//! The message schedule and the 64 rounds, written once for words of any width.
//!
//! The macros are used in modules that define what they call: `add`, `xor`, `xor3`, `majority`, `choose`, `rol` and
//! `each`, which makes a word of a constant. Nothing is moved between rounds: the eight words keep their places and change their roles.

/// T of the standard, of round j rotated by j.
pub(super) const fn constant(round: u32) -> u32 {
    let constant: u32 = if round < 16 { 0x79CC_4519 } else { 0x7A87_9D8A };
    constant.rotate_left(round % 32)
}

/// Round `$j`. Takes the words by their roles and leaves the new A in `$d`, the new E in `$h`.
macro_rules! round {
    ($ff:ident, $gg:ident, $j:expr, $w:ident, [$a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident]) => {
        let turned = rol::<12>($a);
        let ss1 = rol::<7>(add(add(turned, each(const { constant($j) })), $e));
        let ss2 = xor(ss1, turned);
        let w = $w[$j % 16];
        let tt1 = add(add($ff($a, $b, $c), add($d, xor(w, $w[($j + 4) % 16]))), ss2);
        let tt2 = add(add($gg($e, $f, $g), add($h, w)), ss1);
        $b = rol::<9>($b);
        $d = tt1;
        $f = rol::<19>($f);
        $h = xor3(tt2, rol::<9>(tt2), rol::<17>(tt2));
    };
}

/// Word `$i` of the schedule, in the place of word `$i - 16`.
macro_rules! expand {
    ($w:ident, $i:expr) => {
        let mixed = xor3($w[$i % 16], $w[($i + 7) % 16], rol::<15>($w[($i + 13) % 16]));
        let mixed = xor3(mixed, rol::<15>(mixed), rol::<23>(mixed));
        $w[$i % 16] = xor3(mixed, rol::<7>($w[($i + 3) % 16]), $w[($i + 10) % 16]);
    };
}

/// Four rounds from `$j`, after which every word has its first role again. Round j needs word j + 4 of the schedule.
macro_rules! four_rounds {
    (given, $j:expr, $w:ident, [$a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident]) => {
        round!(xor3, xor3, $j, $w, [$a $b $c $d $e $f $g $h]);
        round!(xor3, xor3, $j + 1, $w, [$d $a $b $c $h $e $f $g]);
        round!(xor3, xor3, $j + 2, $w, [$c $d $a $b $g $h $e $f]);
        round!(xor3, xor3, $j + 3, $w, [$b $c $d $a $f $g $h $e]);
    };
    (expanded, $ff:ident, $gg:ident, $j:expr, $w:ident, [$a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident]) => {
        expand!($w, $j + 4);
        round!($ff, $gg, $j, $w, [$a $b $c $d $e $f $g $h]);
        expand!($w, $j + 5);
        round!($ff, $gg, $j + 1, $w, [$d $a $b $c $h $e $f $g]);
        expand!($w, $j + 6);
        round!($ff, $gg, $j + 2, $w, [$c $d $a $b $g $h $e $f]);
        expand!($w, $j + 7);
        round!($ff, $gg, $j + 3, $w, [$b $c $d $a $f $g $h $e]);
    };
}

/// All rounds over the words `$v`, which are variables, by the 16 words `$w` of the block, which are used up.
macro_rules! rounds {
    ($w:ident, $v:tt) => {
        four_rounds!(given, 0, $w, $v);
        four_rounds!(given, 4, $w, $v);
        four_rounds!(given, 8, $w, $v);
        four_rounds!(expanded, xor3, xor3, 12, $w, $v);
        four_rounds!(expanded, majority, choose, 16, $w, $v);
        four_rounds!(expanded, majority, choose, 20, $w, $v);
        four_rounds!(expanded, majority, choose, 24, $w, $v);
        four_rounds!(expanded, majority, choose, 28, $w, $v);
        four_rounds!(expanded, majority, choose, 32, $w, $v);
        four_rounds!(expanded, majority, choose, 36, $w, $v);
        four_rounds!(expanded, majority, choose, 40, $w, $v);
        four_rounds!(expanded, majority, choose, 44, $w, $v);
        four_rounds!(expanded, majority, choose, 48, $w, $v);
        four_rounds!(expanded, majority, choose, 52, $w, $v);
        four_rounds!(expanded, majority, choose, 56, $w, $v);
        four_rounds!(expanded, majority, choose, 60, $w, $v);
    };
}

pub(super) use {expand, four_rounds, round, rounds};
