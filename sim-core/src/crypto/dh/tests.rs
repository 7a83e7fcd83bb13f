//! ECP: RFC 5903 section 8. MODP with subgroups: RFC 5114 appendix A. Curve25519: RFC 7748 section 6.1. The safe primes
//! have no published vectors: the values are CPython's three-argument `pow` on the primes built from their definition
//! (`2^n - 2^(n-64) - 1 + 2^64 * (floor(2^(n-130) pi) + c)`), with the private values of RFC 5903 section 8 as exponents.

use crypto_bigint::{Limb, NonZero, Uint};
use sha2::{Digest, Sha256};

use super::*;
use crate::crypto::testing::hex;
use crate::rng::Purpose;
use crate::rng::Rng;

/// Room for 8,192 bits and some.
type U8448 = Uint<{ 8448 / Limb::BITS as usize }>;

/// RFC 5903 section 8.1, `i` and `r`.
const I256: &str = "c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433";
const R256: &str = "c6ef9c5d78ae012a011164acb397ce2088685d8f06bf9be0b283ab46476bee53";

/// RFC 5903 section 8.2.
const I384: &str = "099f3c7034d4a2c699884d73a375a67f7624ef7c6b3c0f160647b67414dce655e35b538041e649ee3faef896783ab194";
const R384: &str = "41cb0779b4bdb85d47846725fbec3c9430fab46cc8dc5060855cc9bda0aa2942e0308312916b8ed2960e4bd55a7448fc";

/// RFC 5903 section 8.3.
const I521: &str = concat!(
    "0037ade9319a89f4dabdb3ef411aaccca5123c61acab57b5393dce47608172a095aa85a30fe1c2952c6771d9",
    "37ba9777f5957b2639bab072462f68c27a57382d4a52"
);
const R521: &str = concat!(
    "0145ba99a847af43793fdd0e872e7cdfa16be30fdc780f97bccc3f078380201e9c677d600b343757a3bdbf2a",
    "3163e4c2f869cca7458aa4a4effc311f5cb151685eb9"
);

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
        I384,
        R384,
        "667842d7d180ac2cde6f74f37551f55755c7645c20ef73e31634fe72b4c55ee6de3ac808acb4bdb4c88732aee95f41aa
         9482ed1fc0eeb9cafc4984625ccfc23f65032149e0e144ada024181535a0f38eeb9fcff3c2c947dae69b4c634573a81c",
        "e558dbef53eecde3d3fccfc1aea08a89a987475d12fd950d83cfa41732bc509d0d1ac43a0336def96fda41d0774a3571
         dcfbec7aacf3196472169e838430367f66eebe3c6e70c416dd5f0c68759dd1fff83fa40142209dff5eaad96db9e6386c",
        "11187331c279962d93d604243fd592cb9d0a926f422e47187521287e7156c5c4d603135569b9e9d09cf5d4a270f59746",
    );
}

#[test]
fn ecp_521_rfc_5903_section_8_3() {
    both_ways(
        DhGroup::Ecp521,
        I521,
        R521,
        "0015417e84dbf28c0ad3c278713349dc7df153c897a1891bd98bab4357c9ecbee1e3bf42e00b8e380aeae57c
         2d107564941885942af5a7f4601723c4195d176ced3e017cae20b6641d2eeb695786d8c946146239d099e18e
         1d5a514c739d7cb4a10ad8a788015ac405d7799dc75e7b7d5b6cf2261a6a7f1507438bf01beb6ca3926f9582",
        "00d0b3975ac4b799f5bea16d5e13e9af971d5e9b984c9f39728b5e5739735a219b97c356436adc6e95bb0352
         f6be64a6c2912d4ef2d0433ced2b6171640012d9460f015c68226383956e3bd066e797b623c27ce0eac2f551
         a10c2c724d9852077b87220b6536c5c408a1d2aebb8e86d678ae49cb57091f4732296579ab44fcd17f0fc56a",
        "01144c7d79ae6956bc8edb8e7c787c4521cb086fa64407f97894e5e6b2d79b04d1427e73ca4baa240a347868
         59810c06b3c715a3a8cc3151f2bee417996d19f3ddea",
    );
}

#[test]
fn group_22_rfc_5114_appendix_a_1() {
    both_ways(
        DhGroup::Modp1024Sub160,
        "b9a3b3ae8fefc1a2930496507086f8455d48943e",
        "9392c9f9eb6a7a6a9022f7d83e7223c6835bbdda",
        "2a853b3d92197501b9015b2deb3ed84f5e021dcc3e52f109d3273d2b7521281cbabe0e76ff5727fa8acce26956ba9a1f
         ca26f20228d8693feb10841d84a7360054ece5a7f5b7a61ad3dfb3c60d2e43106d8727da37df9cce95b478755d06bcea
         8f9d45965f75a5f3d1df3701165fc9e50c4279ceb07f989540ae96d5d88ed776",
        "717a6cb053371ff4a3b932941c1e5663f861a1d6ad34ae66576dfb98f6c6cbf9ddd5a56c7833f6bcfdff095582ad868e
         440e8d09fd769e3ceccdc3d3b1e4cfa057776caaf9739b6a9fee8e7411f8d6dac09d6a4edb46cc2b5d5203090eae6126
         311e53fd2c14b574e6a3109a3da1be41bdceaa186f5ce06716a2b6a07b3c33fe",
        "5c804f454d30d9c4df85271f93528c91df6b48ab5f80b3b59caac1b28f8acba9cd3e39f3cb614525d9521d2e644c53b8
         07b810f340062f257d7d6fbfe8d5e8f072e9b6e9afda9413eafb2e8b0699b1fb5a0caceddeaead7e9cfbb36ae2b42083
         5bd83a19fb0b5e96bf8fa4d09e345525167ecd9155416f46f408ed31b63c6e6d",
    );
}

#[test]
fn group_23_rfc_5114_appendix_a_2() {
    both_ways(
        DhGroup::Modp2048Sub224,
        "22e62601dbffd06708a680f747f361f76d8f4f721a0548e483294b0c",
        "4ff3bc96c7fc6a6d71d3b363800a7cdfef6fc41b4417ea15353b7590",
        "1b3a63451bd886e699e67b494e288bd7f8e0d370badda7a0efd2fde7d8f66145cc9f280419975eb808877c8a4c0c8e0b
         d48d4a5401eb1e8776bfeee134c03831ac273cd9d635ab0ce006a42a887e3f52fb8766b650f38078bc8ee8580cefe243
         968cfc4f8dc3db084554171d41bf2e861b7bb4d69dd0e01ea387cbaa5ca672afcbe8bdb9d62d4ce15f17dd36f91ed1ee
         dd65ca4a06455cb94cd40a52ec360e84b3c926e22c4380a3bf309d56849768b7f52cfdf655fd053a7ef706979e7e5806
         b17dfae53ad2a5bc568ebb529a7a61d68d256f8fc97c074a861d827e2ebc8c6134553115b70e7103920aa16d85e52bcb
         ab8d786a68178fa8ff7c2f5c71648d6f",
        "4dcee992a9762a13f2f83844ad3d77ee0e31c9718b3db6c2035d3961182c3e0ba247ec4182d760cd48d99599970622a1
         881bba2dc822939c78c3912c6661fa5438b20766222b75e24c2e3ad0c7287236129525ee15b5dd7998aa04c4a9696cac
         d7172083a97a81664ead2c479e444e4c0654cc19e28d7703cee8dacd6126f5d665ec52c67255db92014b037eb621a2ac
         8e365de071ffc1400acf077a12913dd8de89473437ab7ba346743c1b215dd9c12164a7e4053118d199bec8ef6fc56117
         0c84c87d10ee9a674a1fa8ffe13bdfba1d44de48946d68dc0cdd777635a7ab5bfb1e4bb7b856f96827734c184138e915
         d9c3002ebce53120546a7e2002142b6c",
        "34d9bddc1b42176c313fea034c21034d074a6313bb4ecdb3703fff424567a46bdf75530ede0a9da5229de7d76732286c
         bc0f91da4c3c852fc099c679531d94c78ab03d9decb0a4e4ca8b2bb4591c4021cf8ce3a20a541d33994017d0200ae2c9
         516e2ff5145779269e862b0fb474a2d56dc31ed569a7700b4c4ab16b22a45513531ef523d71212077b5a169bdeffad7a
         d9608284c7795b6d5a5183b87066de17d8d671c9ebd8ec89544d45ec061593d442c62ab9ce3b1cb9943a1d23a5ea3bcf
         21a01471e67e003e7f8a69c728be490b2fc88cfeb92db6a215e5d03c17c464c9ac1a46e203e13f952995fb03c69d3cc4
         7fcb510b6998ffd3aa6de73cf9f63869",
    );
}

#[test]
fn group_24_rfc_5114_appendix_a_3() {
    both_ways(
        DhGroup::Modp2048Sub256,
        "0881382cdb87660c6dc13e614938d5b9c8b2f248581cc5e31b35454397fce50e",
        "7d62a7e3ef36de617b13d1afb82c780d83a23bd4ee6705645121f371f546a53d",
        "2e9380c8323af97545bc4941deb0ec3742c62fe0ece824a6abdbe66c59bee0242911bfb967235ceba35ae13e4ec752be
         630b92dc4bde2847a9c62cb8152745421fb7eb60a63c0fe9159fcce726ce7cd8523d7450667ef840e4919121eb5f01c8
         c9b0d3d648a93bfb75689e8244ac134af544711ce79a02dcc34226684780dddcb498594106c37f5bc79856487af5ab02
         2a2e5e42f09897c1a85a11ea0212af04d9b4cebc937c3c1a3e15a8a0342e337615c84e7fe3b8b9b87fb1e73a15af12a3
         0d746e06dfc34f290d797ce51aa13aa785bf6658aff5e4b093003cbeaf665b3c2e113a3a4e905269341dc0711426685f
         4ef37e868a8126ff3f2279b57ca67e29",
        "575f0351bd2b1b817448bdf87a6c362c1e289d3903a30b9832c5741fa250363e7acbc7f77f3dacbc1f131add8e03367e
         ff8fbbb3e1c5784424809b25afe4d2262a1a6fd2fab64105ca30a674e07f7809852088632fc049233791ad4edd083a97
         8b883ee618bc5e0dd047415f2d95e683cf14826b5fbe10d3ce41c6c120c78ab20008c698bf7f0bcab9d7f407bed0f43a
         fb2970f57f8d12043963e66ddd320d599ad9936c8f44137c08b180ec5e985cebe186f3d549677e80607331ee17af3380
         a725b0782317d7dd43f59d7af9568a9bb63a84d365f92244ed120988219302f42924c7ca90b89d24f71b0ab697823d7d
         eb1aff5b0e8e4a45d49f7f53757e1913",
        "86c70bf8d0bb81bb01078a17219cb7d27203db2a19c877f1d1f19fd7d77ef22546a68f005ad52dc84553b78fc60330be
         51ea7c0672cac1515e4b35c047b9a551b88f39dc26da14a09ef74774d47c762dd177f9ed5bc2f11e52c879bd95098504
         cd9eecd8a8f9b3efbd1f008ac5853097d9d1837f2b18f77cd7be01af80a7c7b5ea3ca54cc02d0c116fee3f95bb873993
         85875d7e86747e676e728938acbff7098e05be4dcfb24052b83aeffb14783f029adbde7f53fae92084224090e007cee9
         4d4bf2bace9ffd4b57d2af7c724d0caa19bf0501f6f17b4aa10f425e3ea76080b4b9d6b3cefea115b2ceb8789bb8a3b0
         ea87febe63b6c8f846ec6db0c26c5d7c",
    );
}

#[test]
fn curve_25519_rfc_7748_section_6_1() {
    both_ways(
        DhGroup::Curve25519,
        "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
        "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
        "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
        "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
        "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742",
    );
}

/// The larger safe primes: SHA-256 of `g^i`, `g^r` and `g^ir` in turn.
#[test]
fn modp_against_another_implementation() {
    for (group, i, r, digests) in [
        (
            DhGroup::Modp1536,
            I256,
            R256,
            [
                "b412e45769e18b335510aa26afc731008c7d5b0307ddf79bdd03b009ed9ad038",
                "a2de8731b6f044a6d98c7851d2fc5ab31f40669f8b096eaaa61a20c2e1843f39",
                "dd93f3816e40d049622c7d13f5a13af4cf03ab78c2eff763ee1a173efe556792",
            ],
        ),
        (
            DhGroup::Modp3072,
            I256,
            R256,
            [
                "1771ae0edfe9d2a560ff11142bb486ddb1150bed4f4edb21dadacfe7e871d6d6",
                "523c1b7ba123e2ae4dbb24eff57f95b97ac38c0bcfd0462e7e5cb1be857213e2",
                "e5f46764b8b3c743b24cd5c58837e8c2c6cb0a5e7a89af1e18a273f825e9d49c",
            ],
        ),
        (
            DhGroup::Modp4096,
            I384,
            R384,
            [
                "4c1f8d1fd42ab11af9268ade585dd3adc47f1a585d1072473b869b75bf9d7044",
                "d91d1d1ce3ed971fcb4a71ce4d3393ea407eb6a7d5cf0e4fae4311b10036c610",
                "76fc0e6436d37721b3746874c4fe05d663995f658a4a39e463a459a1dd92730f",
            ],
        ),
        (
            DhGroup::Modp6144,
            I384,
            R384,
            [
                "8c336a95ce2294d210694f2d2d125351f86b5d523e518af8a4f9ca867e942f34",
                "5e1e24d286663d3004616d5b61aa079688406e1aeb56d3e31c3349355c82f4d4",
                "e8a7a6f34745b875c5dc4518ab35de3b1111c5100b1c6e2dfebef0cc1bc48216",
            ],
        ),
        (
            DhGroup::Modp8192,
            &I521[I521.len() - 112..],
            &R521[R521.len() - 112..],
            [
                "006514f1838f4bdaf8c29567f2075290e3ff069d7e57d37b6f3ea6fc99920057",
                "be53a4babb173e88646c5410805fbf27da84de54428332b4ab4be06b4de7df7c",
                "c0ae4dbad01760bbf0b987d5be8e45bad743f328c6146ebffe93b2793d787674",
            ],
        ),
    ] {
        let i = DhPrivate::from_bytes(group, &hex(i)).unwrap();
        let r = DhPrivate::from_bytes(group, &hex(r)).unwrap();
        let shared = i.agree(r.public()).unwrap();
        assert_eq!(shared, r.agree(i.public()).unwrap());
        let values: [&[u8]; 3] = [i.public(), r.public(), &shared];
        for (value, digest) in values.into_iter().zip(digests) {
            assert_eq!(Sha256::digest(value)[..], hex(digest), "{group:?}");
            assert_eq!(value.len(), group.public_len());
        }
    }
}

/// `floor(2^bits * pi)` by Machin's formula, pi = 16 atan(1/5) - 4 atan(1/239), with 64 bits to spare for its rounding.
fn pi(bits: u32) -> U8448 {
    let one = U8448::ONE.shl(bits + 64);
    let by = |value: &U8448, n: u32| value.div_rem_limb(NonZero::new(Limb::from_u32(n)).unwrap()).0;
    let atan_of_one_by = |n: u32| {
        let (mut sum, mut power, mut k) = (U8448::ZERO, by(&one, n), 1);
        while power != U8448::ZERO {
            let term = by(&power, k);
            sum = if k % 4 == 1 { sum.wrapping_add(&term) } else { sum.wrapping_sub(&term) };
            power = by(&power, n * n);
            k += 2;
        }
        sum
    };
    atan_of_one_by(5).shl(4).wrapping_sub(&atan_of_one_by(239).shl(2)).shr(64)
}

/// RFC 7296 appendix B.2 and RFC 3526 sections 2 to 7 give each prime as a formula, too.
#[test]
fn safe_primes_are_what_their_formula_says() {
    let two_to = |n: u32| U8448::ONE.shl(n);
    for (bits, c, prime) in [
        (1024, 129_093, primes::PRIME_1024),
        (1536, 741_804, primes::PRIME_1536),
        (2048, 124_476, primes::PRIME_2048),
        (3072, 1_690_314, primes::PRIME_3072),
        (4096, 240_904, primes::PRIME_4096),
        (6144, 929_484, primes::PRIME_6144),
        (8192, 4_743_158, primes::PRIME_8192),
    ] {
        let middle = pi(bits - 130).wrapping_add(&U8448::from_u64(c)).shl(64);
        let expected = two_to(bits).wrapping_sub(&two_to(bits - 64)).wrapping_sub(&U8448::ONE).wrapping_add(&middle);
        assert_eq!(U8448::from_be_hex(&format!("{prime:0>2112}")), expected, "{bits}");
    }
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
        let own = DhPrivate::from_bytes(group, &vec![1; group.private_len()]).unwrap();
        for actual in [0, 1, group.public_len() - 1, group.public_len() + 1, 4096] {
            let expected = group.public_len();
            assert_eq!(own.agree(&vec![2; actual]), Err(DhError::Length { expected, actual }));
        }
    }
}

/// RFC 6989 section 2.1: 0, 1 and p-1 make a subgroup of at most two elements, p and above are no residues.
#[test]
fn modp_values_outside_2_to_p_minus_2_are_refused() {
    for (group, prime) in [
        (DhGroup::Modp1024, primes::PRIME_1024),
        (DhGroup::Modp1536, primes::PRIME_1536),
        (DhGroup::Modp2048, primes::PRIME_2048),
        (DhGroup::Modp3072, primes::PRIME_3072),
        (DhGroup::Modp4096, primes::PRIME_4096),
        (DhGroup::Modp6144, primes::PRIME_6144),
        (DhGroup::Modp8192, primes::PRIME_8192),
        (DhGroup::Modp1024Sub160, primes::PRIME_1024_160),
        (DhGroup::Modp2048Sub224, primes::PRIME_2048_224),
        (DhGroup::Modp2048Sub256, primes::PRIME_2048_256),
    ] {
        let own = DhPrivate::from_bytes(group, &vec![9; group.private_len()]).unwrap();
        let prime = hex(prime);
        let small = |n: u8| [vec![0; prime.len() - 1], vec![n]].concat();
        // The last octet of each prime is at least 2, so that nothing is borrowed.
        let minus = |n: u8| [&prime[..prime.len() - 1], &[prime[prime.len() - 1] - n]].concat();
        for bad in [small(0), small(1), minus(1), minus(0), vec![0xff; prime.len()]] {
            assert_eq!(own.agree(&bad), Err(DhError::Range), "{group:?}");
        }
        for inside in [small(2), minus(2)] {
            assert_ne!(own.agree(&inside), Err(DhError::Range), "{group:?}");
        }
    }
}

/// RFC 6989 section 2.2: values of another order. 2 and p-2 are in none of the subgroups (CPython: `pow(y, q, p) != 1`), nor
/// is a member with its sign changed, whose order is twice as large.
#[test]
fn values_outside_the_subgroup_are_refused() {
    for group in [DhGroup::Modp1024Sub160, DhGroup::Modp2048Sub224, DhGroup::Modp2048Sub256] {
        let own = DhPrivate::from_bytes(group, &vec![9; group.private_len()]).unwrap();
        let mut two = vec![0; group.public_len()];
        *two.last_mut().unwrap() = 2;
        assert_eq!(own.agree(&two), Err(DhError::Subgroup), "{group:?}");
        let prime = match group {
            DhGroup::Modp1024Sub160 => primes::PRIME_1024_160,
            DhGroup::Modp2048Sub224 => primes::PRIME_2048_224,
            _ => primes::PRIME_2048_256,
        };
        let wide = |octets: &[u8]| U8448::from_be_hex(&format!("{:0>2112}", to_hex(octets)));
        let negated = wide(&hex(prime)).wrapping_sub(&wide(own.public()));
        let negated = &hex(&format!("{negated:x}"))[1056 - group.public_len()..];
        assert_eq!(own.agree(negated), Err(DhError::Subgroup), "{group:?}");
        assert!(own.agree(own.public()).is_ok());
    }
}

fn to_hex(octets: &[u8]) -> String {
    octets.iter().map(|o| format!("{o:02x}")).collect()
}

/// RFC 7748 section 6.1 and RFC 8031 section 3.2: a point of small order makes an all-zero secret. u = 0 and u = 1 have the
/// orders 2 and 4, p - 1 has order 4 on the twist; the last is a point of order 8.
#[test]
fn small_orders_on_curve_25519_are_refused() {
    let own = DhPrivate::from_bytes(DhGroup::Curve25519, &[9; 32]).unwrap();
    for bad in [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    ] {
        assert_eq!(own.agree(&hex(bad)), Err(DhError::ZeroSecret));
    }
}

/// RFC 6989 section 2.3: coordinates below p that satisfy the curve's equation.
#[test]
fn ecp_values_off_the_curve_are_refused() {
    for group in [DhGroup::Ecp256, DhGroup::Ecp384, DhGroup::Ecp521] {
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

/// SP 800-186 section 3.2.1: the orders of P-256, P-384 and P-521. RFC 5114 section 2: those of the subgroups.
#[test]
fn private_values_outside_the_group_are_refused() {
    let n256 = hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    let n384 = hex("ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973");
    let n521 = hex("01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff
         a51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409");
    for (group, order) in [
        (DhGroup::Ecp256, n256),
        (DhGroup::Ecp384, n384),
        (DhGroup::Ecp521, n521),
        (DhGroup::Modp1024Sub160, hex(primes::ORDER_1024_160)),
        (DhGroup::Modp2048Sub224, hex(primes::ORDER_2048_224)),
        (DhGroup::Modp2048Sub256, hex(primes::ORDER_2048_256)),
    ] {
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
    let ids: Vec<u16> = DhGroup::ALL.iter().map(|group| group.id()).collect();
    assert_eq!(ids, [2, 5, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 31]);
    assert_eq!(DhGroup::from_id(1), None);
}
