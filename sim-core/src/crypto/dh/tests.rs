//! ECP: RFC 5903 section 8. MODP has no published vectors: the values are CPython's three-argument `pow` on the primes
//! built from their definition (`2^n - 2^(n-64) - 1 + 2^64 * (floor(2^(n-130) pi) + c)`), with the private values of
//! RFC 5903 section 8.1 as exponents.

use super::*;
use crate::crypto::testing::hex;
use crate::rng::Purpose;

/// RFC 5903 section 8.1, `i` and `r`.
const I256: &str = "c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433";
const R256: &str = "c6ef9c5d78ae012a011164acb397ce2088685d8f06bf9be0b283ab46476bee53";

fn both_ways(group: DhGroup, i: &str, r: &str, gi: &str, gr: &str, gir: &str) {
    let i = DhPrivate::from_bytes(group, &hex(i)).unwrap();
    let r = DhPrivate::from_bytes(group, &hex(r)).unwrap();
    assert_eq!(i.public(), hex(gi));
    assert_eq!(r.public(), hex(gr));
    assert_eq!(*i.agree(r.public()).unwrap(), *hex(gir));
    assert_eq!(*r.agree(i.public()).unwrap(), *hex(gir));
    assert_eq!(hex(gir).len(), group.shared_len());
}

#[test]
fn ecp_256_rfc_5903_section_8_1() {
    both_ways(
        DhGroup::Ecp256,
        I256,
        R256,
        "dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180
         5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3",
        "d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf63
         56fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab",
        "d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de",
    );
}

#[test]
fn ecp_384_rfc_5903_section_8_2() {
    both_ways(
        DhGroup::Ecp384,
        "099f3c7034d4a2c699884d73a375a67f7624ef7c6b3c0f160647b67414dce655e35b538041e649ee3faef896783ab194",
        "41cb0779b4bdb85d47846725fbec3c9430fab46cc8dc5060855cc9bda0aa2942e0308312916b8ed2960e4bd55a7448fc",
        "667842d7d180ac2cde6f74f37551f55755c7645c20ef73e31634fe72b4c55ee6de3ac808acb4bdb4c88732aee95f41aa
         9482ed1fc0eeb9cafc4984625ccfc23f65032149e0e144ada024181535a0f38eeb9fcff3c2c947dae69b4c634573a81c",
        "e558dbef53eecde3d3fccfc1aea08a89a987475d12fd950d83cfa41732bc509d0d1ac43a0336def96fda41d0774a3571
         dcfbec7aacf3196472169e838430367f66eebe3c6e70c416dd5f0c68759dd1fff83fa40142209dff5eaad96db9e6386c",
        "11187331c279962d93d604243fd592cb9d0a926f422e47187521287e7156c5c4d603135569b9e9d09cf5d4a270f59746",
    );
}

#[test]
fn modp_1024_against_another_implementation() {
    both_ways(
        DhGroup::Modp1024,
        I256,
        R256,
        "f5659e44310de638fdc5bc668e61f3c06a6c98870d73ef8def43d6659b185f7ae45f003078dbdb2ea830d31f0b0d2be0
         ca2d484abff1e4572e6823690615d6e6b1a0fcb61a9876352ca49ac1d507a804dd4695cd10870d6793d1a4f430f8ca42
         d3585a08ca69c915a0c6e8346296159a6a297816c774fd3ebd9b381323aead66",
        "564e18e944d2827f62a1130f10e61343d20558f358f6990281a1cdd35b9218e853920abfc8f2a35ca920a027c7069492
         8e686528e5f0691307ea22bb2e912aceed8d0cf260a0cd63d3abd86b88421763647881c526f044086f134d0b9d4918a8
         85801ec3551f0ba6f9f242f0aa36cde9e033c5cabbc9fa31684b515d0b680455",
        "87e5dad6b0ab84d1bac3bea8837b96a0408627656846c179d1173e21dc2f4183b04d468560539ad35dcbae351f3c8073
         ff7419cdaafadf097dd10429ff803444772c0d8452667782f192e4f034e16c0d3f93e4c7de4b216798591a9ebc6ef308
         7f9956415c442a81b307bba2d172e7feed97368912c1ffff60b14ff6df556a5d",
    );
}

#[test]
fn modp_2048_against_another_implementation() {
    both_ways(
        DhGroup::Modp2048,
        I256,
        R256,
        "98aa56273db6f3bf7a8fc278cd6ebe70a69d35987d4606dda547039a918b318f7398d74820ea20c7829eb30cac09ea12
         688d10c81ed10d789637a499c7ea2b2d1ed0a55e3ffbb69d9edafd34cdf06cf8d7d7cf0e18f77a312b90977612125479
         5b99860acba2e3f4f1279d8ecd01c79508b5ff9c45fedfbfc019c7395ee4725a60274ddc710d2c0868ace980668d221d
         d56f186f278649b3952ea3febc177b177fc64ad01d9484307edd7b10f0f06ac3397b167cb9769d1272e32ddeaa43c0f3
         448162058d62b3bf03daed353d8ba8c38ba85a74b517ea15e182d56eb4c6957a1fc2657de4dd255de601035032382017
         b54c64c8f70b7c2936efd9df11f99618",
        "f0283a1e2e5042032ef78bc2a1bc3b02fb33d32d9215185ba6968a60da4f3112d2c5e0e8741fec8ce9498f1f6674ccfa
         3dd2cfc140d9671b1ee638ae2231a7e24eb9a02b4682bfb8bead7774fa579a5b75a575157ae59f14995175774400b1a9
         c354abc139c539dad62c0c392fcbca64cc3ffb38d1a7087ec31a279e0bd29456b061428eddebf017255425d999d157ee
         28d6dd6efd5e0cc56a26f592241a864f8bff28628ca448d1b0359cdf4ce14f31f9c9d208eee008d05d73c7e6d675dced
         18b4135fdbab8fe9120d4c04279e746aa39eff8eac3e7c0d5b36561ba5cae7debb798de45c82323615cd797c55312509
         18966e7209c161540255ec44f0c47628",
        "d112c24ee46a0aa1ce5bbd92f6bee770856a5d1d85ce69f57bde73173b19202b2cec38ac5cc616c03f3cf0c44a7d915d
         bfcca57b2829e9d4d433e26c365a257055ff3715401c9c37664d035df1a1bb2c827089beb516e008bf7b54f5a2e212c2
         14092b283fef48fe518fc1de2a55871625164b5746ffb641614e09e5901e8981507aa2abca81263acc27ed3263fb4ba3
         d95868a3f04061d723595946ed7b7cc2a2a861851226ffc6e8ffb1dba90b1bc3e010d445ba0ec3aac56915a136658b26
         baa5100f7eee110227a3c4dca0ba16f349532ec623acfc4eadbc73c11daff33986ba3498a2941930dfdc76af105a076d
         0c013ff8557786a9edecf7b2dcca6fa0",
    );
}

/// RFC 7296 section 2.14: a shared secret shorter than the modulus keeps its leading zeros. The exponents 120 and 766
/// were searched (with CPython) so that `g^ir` starts with a zero octet.
#[test]
fn modp_secrets_keep_leading_zeros() {
    for (group, exponent, head, tail) in [
        (DhGroup::Modp1024, 120_u16, "00cafdc4ab52d6c8", "77435acf98984414"),
        (DhGroup::Modp2048, 766, "000f12a08f6a8c73", "75e0eeaf763a9867"),
    ] {
        let r = DhPrivate::from_bytes(group, &hex(R256)).unwrap();
        let mut bytes = [0; 32];
        bytes[30..].copy_from_slice(&exponent.to_be_bytes());
        let small = DhPrivate::from_bytes(group, &bytes).unwrap();
        let shared = small.agree(r.public()).unwrap();
        assert_eq!(shared.len(), group.public_len());
        assert_eq!(shared[..8], hex(head));
        assert_eq!(shared[shared.len() - 8..], hex(tail));
    }
}

#[test]
fn drawn_keys_agree_and_depend_on_the_stream_only() {
    let mut rng = Rng::stream(1, "dh", Purpose::Test);
    for group in DhGroup::ALL {
        let again = DhPrivate::generate(group, &mut rng.clone());
        let (a, b) = (DhPrivate::generate(group, &mut rng), DhPrivate::generate(group, &mut rng));
        assert_eq!(a.public(), again.public());
        assert_ne!(a.public(), b.public());
        assert_eq!(a.public().len(), group.public_len());
        assert_eq!(a.agree(b.public()), b.agree(a.public()));
    }
}

#[test]
fn public_values_of_another_length_are_refused() {
    for group in DhGroup::ALL {
        let own = DhPrivate::from_bytes(group, &vec![7; group.private_len()]).unwrap();
        for actual in [0, 1, group.public_len() - 1, group.public_len() + 1, 4096] {
            let expected = group.public_len();
            assert_eq!(own.agree(&vec![2; actual]), Err(DhError::Length { expected, actual }));
        }
    }
}

/// RFC 6989 section 2.1: 0, 1 and p-1 make a subgroup of at most two elements, p and above are no residues.
#[test]
fn modp_values_outside_2_to_p_minus_2_are_refused() {
    fn check<const LIMBS: usize>(group: DhGroup, modp: &Modp<LIMBS>)
    where
        Uint<LIMBS>: Encoding,
    {
        let own = DhPrivate::from_bytes(group, &[9; 32]).unwrap();
        let agree = |value: Uint<LIMBS>| own.agree(value.to_be_bytes().as_ref());
        let p = *modp.params.modulus().as_ref();
        let minus = |n: u8| p.wrapping_sub(&Uint::from_u8(n));
        for bad in [Uint::ZERO, Uint::ONE, minus(1), p, Uint::MAX] {
            assert_eq!(agree(bad), Err(DhError::Range));
        }
        for good in [Uint::from_u8(2), minus(2)] {
            assert!(agree(good).is_ok());
        }
    }
    check(DhGroup::Modp1024, &GROUP2);
    check(DhGroup::Modp2048, &GROUP14);
}

/// RFC 6989 section 2.3: coordinates below p that satisfy the curve's equation.
#[test]
fn ecp_values_off_the_curve_are_refused() {
    for group in [DhGroup::Ecp256, DhGroup::Ecp384] {
        let mut rng = Rng::stream(2, "dh", Purpose::Test);
        let own = DhPrivate::generate(group, &mut rng);
        let peer = DhPrivate::generate(group, &mut rng);
        let half = group.public_len() / 2;
        let mut off_by_one_bit = peer.public().to_vec();
        off_by_one_bit[half - 1] ^= 1;
        let mut swapped = peer.public().to_vec();
        swapped.rotate_left(half);
        let mut x_beyond_p = peer.public().to_vec();
        x_beyond_p[..half].fill(0xff);
        let origin = vec![0; group.public_len()];
        for bad in [off_by_one_bit, swapped, x_beyond_p, origin] {
            assert_eq!(own.agree(&bad), Err(DhError::NotOnCurve));
        }
    }
}

/// SP 800-186 section 3.2.1: the orders of P-256 and P-384.
#[test]
fn private_values_outside_the_group_are_refused() {
    let n256 = hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    let n384 = hex("ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973");
    for (group, order) in [(DhGroup::Ecp256, n256), (DhGroup::Ecp384, n384)] {
        assert!(DhPrivate::from_bytes(group, &order).is_none());
        let mut last = order;
        *last.last_mut().unwrap() -= 1;
        assert!(DhPrivate::from_bytes(group, &last).is_some());
    }
    for group in DhGroup::ALL {
        assert!(DhPrivate::from_bytes(group, &vec![0; group.private_len()]).is_none());
        assert!(DhPrivate::from_bytes(group, &vec![1; group.private_len() + 1]).is_none());
    }
}

#[test]
fn a_private_value_does_not_print_itself() {
    let private = DhPrivate::from_bytes(DhGroup::Modp2048, &[0xAB; 32]).unwrap();
    assert_eq!(format!("{private:?}"), "DhPrivate { group: Modp2048, .. }");
}

#[test]
fn transform_ids_are_ianas() {
    assert_eq!(DhGroup::from_id(2), Some(DhGroup::Modp1024));
    assert_eq!(DhGroup::from_id(14), Some(DhGroup::Modp2048));
    assert_eq!(DhGroup::from_id(19), Some(DhGroup::Ecp256));
    assert_eq!(DhGroup::from_id(20), Some(DhGroup::Ecp384));
    assert_eq!(DhGroup::from_id(1), None);
}
