"""Files of phones, cameras, editors and recorders: what real programs write beyond the textbook."""

import base64
import io
import struct
import subprocess
import zlib
from pathlib import Path

import imageio_ffmpeg
import pytest
from PIL import Image, PngImagePlugin, TiffImagePlugin

from modellix_server.inspection import Probed, Refused, identify, take_inputs

PICTURES = Path(__file__).parent / "pictures"
"""Written by pillow-heif 1.8.1, the AVIF by Pillow 13, from a picture of 401x301; turned ones by their Exif."""


def box(kind: bytes, *parts: bytes) -> bytes:
    data = b"".join(parts)
    return struct.pack(">I4s", len(data) + 8, kind) + data


def full(kind: bytes, *parts: bytes, version: int = 0, flags: int = 0) -> bytes:
    return box(kind, bytes([version]) + flags.to_bytes(3), *parts)


def number(*values: int, size: int = 2) -> bytes:
    return b"".join(value.to_bytes(size) for value in values)


def heif(kind: bytes, properties: list[bytes], *, grid: tuple[int, int] | None = None, brand: bytes = b"heic",
         tile: tuple[int, int] = (512, 512), tail: bytes = b"", moved: int = 0) -> bytes:  # fmt: skip
    """A file with the primary item 1, of two tiles where it is a grid."""
    tiles = [2, 3] if grid else []
    infos = [full(b"infe", number(item, 0), kind if item == 1 else b"hvc1", b"\0", version=2) for item in (1, *tiles)]
    ispe = full(b"ispe", number(*tile, size=4))
    of_primary = [*range(2, 2 + len(properties))] if grid else [1, *range(2, 2 + len(properties))]
    links = [(1, of_primary), *((item, [1]) for item in tiles)]
    ipma = full(
        b"ipma",
        number(len(links), size=4),
        *(number(item) + number(len(own), *own, size=1) for item, own in links),
    )
    idat = b""
    if grid:
        wide = max(grid) > 65_535
        idat = bytes([0, wide, 0, 1]) + number(*grid, size=4 if wide else 2)
    place_of_data = 0

    def meta() -> bytes:
        places = [number(1, 1, 0, 1) + number(0, len(idat), size=4)] if grid else []
        places += [number(item, 0, 0, 1) + number(place_of_data + moved, 4, size=4) for item in tiles or [1]]
        return full(
            b"meta",
            full(b"hdlr", bytes(4), b"pict", bytes(13)),
            full(b"pitm", number(1)),
            full(b"iinf", number(len(infos)), *infos),
            box(b"iprp", box(b"ipco", ispe, *properties), ipma),
            *([full(b"iref", box(b"dimg", number(1, len(tiles), *tiles)))] if grid else []),
            *([box(b"idat", idat)] if grid else []),
            full(b"iloc", bytes([0x44, 0]), number(len(places)), *places, version=1),
        )

    start = box(b"ftyp", brand, bytes(4), b"mif1", brand)
    place_of_data = len(start) + len(meta()) + 8
    return start + meta() + box(b"mdat", b"tile") + tail


def irot(quarters: int) -> bytes:
    return box(b"irot", bytes([quarters]))


def clap(width: int, height: int) -> bytes:
    return box(b"clap", number(width * 2, 2, height, 1, 0, 1, 0, 1, size=4))


SIZES = {
    "plain.heic": (401, 301),
    "lossless.heic": (401, 301),
    "alpha.heic": (401, 301),
    "turn5.heic": (301, 401),
    "turn6.heic": (301, 401),
    "many.heic": (100, 80),
    "tiled.heic": (401, 301),
    "plain.avif": (401, 301),
}


@pytest.mark.parametrize("name", SIZES)
async def test_pictures_of_other_programs_have_their_real_size(helper, name):
    data = (PICTURES / name).read_bytes()
    assert await helper.probe("image", data) == Probed(name.partition(".")[2], *SIZES[name])
    tail = data + box(b"mpvd", b"a film" * 20_000)
    assert await helper.probe("image", tail) == Probed(name.partition(".")[2], *SIZES[name])
    for size in (40, len(data) // 2, len(data) - 40):
        if name != "alpha.heic" or size == 40:  # its transparency is an item of its own, at the end
            assert isinstance(await helper.probe("image", data[:size]), Refused), size


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (heif(b"grid", [], grid=(4032, 3024)), (4032, 3024)),
        (heif(b"grid", [irot(3)], grid=(4032, 3024)), (3024, 4032)),
        (heif(b"grid", [irot(2)], grid=(4032, 3024)), (4032, 3024)),
        (heif(b"grid", [clap(4000, 3000), irot(1)], grid=(4032, 3024)), (3000, 4000)),
        (heif(b"grid", [irot(1), clap(3000, 4000)], grid=(4032, 3024)), (3000, 4000)),
        (heif(b"grid", [], grid=(70_000, 1000)), (70_000, 1000)),
        (heif(b"hvc1", [clap(500, 400)]), (500, 400)),
        (heif(b"av01", [], brand=b"avif", tile=(33, 44)), (33, 44)),
        (heif(b"av01", [], brand=b"mif1", tile=(33, 44)), (33, 44)),
        (heif(b"hvc1", [], brand=b"MiHB", tile=(33, 44), tail=b"MotionPhoto_Data"), (33, 44)),
    ],
    ids=range(10),
)
async def test_tiles_turns_and_crops(helper, data, size):
    found = await helper.probe("image", data)
    assert isinstance(found, Probed), found
    assert (found.width, found.height) == size


async def test_a_picture_of_200_million_pixels_is_refused_with_its_size(helper):
    found = await helper.probe("image", heif(b"grid", [irot(1)], grid=(16_320, 12_240)))
    assert found == Refused("the picture has more than 100,000,000 pixels, got 12240*16320")


@pytest.mark.parametrize(
    "data",
    [
        heif(b"hvc1", [], moved=10_000),
        heif(b"grid", [], grid=(0, 10)),
        heif(b"grid", [], grid=(10, 10))[:-2],
        heif(b"hvc1", [], tile=(0, 0)),
        heif(b"iden", []),
        heif(b"hvc1", [box(b"clap", bytes(32))]),
        heif(b"hvc1", []).replace(b"pitm", b"free"),
        heif(b"hvc1", []).replace(b"meta", b"free"),
        box(b"ftyp", b"heic", bytes(4)) + full(b"meta", b"\xff" * 100),
    ],
    ids=range(9),
)
async def test_broken_stills_are_refused(helper, data):
    assert await helper.probe("image", data) == Refused("the heic file is broken")


async def test_every_cut_of_a_still_is_answered(helper):
    data = heif(b"grid", [clap(4000, 3000), irot(1)], grid=(4032, 3024))
    for at in range(16, len(data) - 4, 3):
        spoilt = data[:at] + b"\xff\xff\xff\xff" + data[at + 4 :]
        assert isinstance(await helper.probe("image", spoilt), Probed | Refused)
        assert isinstance(await helper.probe("image", data[:at]), Refused)


TAILS = {
    "motion photo": b"MotionPhoto_Data" + bytes(70_000),
    "film": box(b"ftyp", b"mp42", bytes(4)) + box(b"mdat", bytes(300_000)),
    "trailer": b"SEFT" + bytes(8),
    "padding": bytes(2_000_000),
    "another": b"\xff\xd8\xff\xe0" + bytes(80_000),
}


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "gif"])
async def test_what_follows_the_end_of_a_picture_is_passed_over(helper, picture, name, tail):
    found = await helper.probe("image", picture(name, (300, 200), noise=50) + TAILS[tail])
    assert (found.format, found.width, found.height) == (name, 300, 200)


async def test_a_thumbnail_is_not_the_end_of_its_picture(helper, picture):
    exif = Image.Exif()
    exif[0x010E] = "\xff\xd9" * 100
    out = io.BytesIO()
    Image.effect_noise((400, 300), 60).save(
        out, "JPEG", exif=exif.tobytes() + picture("jpeg", (40, 30)), progressive=True
    )
    data = out.getvalue()
    assert (await helper.probe("image", data)).width == 400
    for size in (len(data) // 4, len(data) // 2, len(data) - 3):
        assert isinstance(await helper.probe("image", data[:size]), Refused)


@pytest.mark.parametrize("kind", ["zTXt", "iTXt", "tEXt", "iCCP", "many", "unknown"])
async def test_the_texts_of_a_png_are_not_unpacked(helper, kind):
    """Programs keep their workflow in them; a profile may be large too."""
    about = PngImagePlugin.PngInfo()
    long = "workflow " * 150_000
    if kind == "zTXt":
        about.add_text("prompt", long, zip=True)
    elif kind == "iTXt":
        about.add_itxt("prompt", long, zip=True)
    elif kind == "tEXt":
        about.add_text("prompt", long)
    elif kind == "many":
        for count in range(3000):
            about.add_text(f"k{count}", "x" * 1000, zip=True)
    elif kind == "unknown":
        about.add(b"caBX", bytes(1_500_000))
    out = io.BytesIO()
    profile = {"icc_profile": bytes(2_000_000)} if kind == "iCCP" else {}
    Image.new("RGB", (64, 48)).save(out, "PNG", pnginfo=about, **profile)
    assert await helper.probe("image", out.getvalue()) == Probed("png", 64, 48, has_alpha=False)


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    made = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(made)


HEAD = (b"IHDR", struct.pack(">IIBBBBB", 4, 3, 8, 6, 0, 0, 0))
DATA, END = (b"IDAT", zlib.compress(bytes(51))), (b"IEND", b"")


@pytest.mark.parametrize(
    "data",
    [
        png(HEAD, DATA),
        png(HEAD, END),
        png(DATA, HEAD, END),
        png((b"IHDR", struct.pack(">IIBBBBB", 4, 3, 7, 6, 0, 0, 0)), DATA, END),
        png((b"IHDR", struct.pack(">IIBBBBB", 4, 0, 8, 6, 0, 0, 0)), DATA, END),
        png((b"IHDR", struct.pack(">IIBBBBB", 4, 3, 8, 3, 0, 0, 0)), DATA, END),
        png((b"IHDR", b"short"), DATA, END),
        png(HEAD, DATA, END)[:-1],
        png(HEAD, DATA, END).replace(b"IDAT", b"IDAX"),
        png(HEAD, DATA, END).replace(DATA[1], DATA[1][:-1] + b"x"),
    ],
    ids=range(10),
)
async def test_broken_pngs_are_refused(helper, data):
    assert await helper.probe("image", data) == Refused("the png file is broken")
    assert await helper.probe("image", png(HEAD, DATA, END)) == Probed("png", 4, 3, has_alpha=True)
    edited = png(HEAD, (b"tEXt", b"a\0b"), DATA, END).replace(b"a\0b", b"a\0c")
    assert await helper.probe("image", edited) == Probed("png", 4, 3, has_alpha=True)


def rebranded(data: bytes, major: bytes, *compatible: bytes) -> bytes:
    """The clip with other brands, in a box of the same length, so that everything stays where it is."""
    length = int.from_bytes(data[:4])
    brands = b"".join(compatible).ljust(length - 16, b"\0")
    return data[:8] + major + data[12:16] + brands[: length - 16] + data[length:]


@pytest.mark.parametrize(
    "brands",
    [
        (b"XAVC", b"mp42", b"isom"),
        (b"XAVC", b"mp42", b"nras", b"iso2"),
        (b"3gp9", b"3gp4"),
        (b"NDSC", b"mp41"),
        (b"mp42", b"M4A ", b"isom"),
        (b"GoPr", b"xxxx"),
        (b"\0\0\0\0",),
    ],
)
async def test_clips_of_cameras_are_clips_whatever_their_brand(helper, clip, brands):
    data = rebranded(clip("mp4"), *brands)
    assert await helper.probe("video", data) == Probed("mp4", 64, 48, 2000, has_audio=True)
    _, (file,) = take_inputs({"v": data_uri(data)}, ["v"])
    assert (file.kind, file.mime) == ("video", "video/mp4")


@pytest.mark.parametrize(
    "before",
    [box(b"free", bytes(8)), box(b"wide"), box(b"skip", bytes(500)), box(b"uuid", bytes(70_000)), box(b"free") * 9],
)
async def test_other_boxes_may_stand_before_the_brands(helper, clip, before):
    for name in ("mp4", "mov"):
        found = await helper.probe("video", before + clip(name))
        assert (found.format, found.width, found.height) == (name, 64, 48)


@pytest.mark.parametrize("ext", ["mp4", "mov"])
async def test_a_sound_in_a_container_of_clips_is_a_sound(helper, clip, ext):
    sound = clip("mp4", "-vn")
    if ext == "mov":
        sound = rebranded(sound, b"qt  ", b"qt  ")
    assert identify(io.BytesIO(sound)).name == "m4a"
    assert (await helper.probe("audio", sound)).format == "m4a"
    assert await helper.probe("video", sound) == Refused("the file is a sound, not a video")


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x7FFFFFFF, 0])
async def test_a_recording_that_never_came_to_know_its_length_is_as_long_as_its_file(helper, clip, length):
    """As `ffmpeg -f wav -` and recorders write them into pipes."""
    data = clip("wav")
    at = data.index(b"data") + 4
    written = data[:4] + struct.pack("<I", length) + data[8:at] + struct.pack("<I", length) + data[at + 4 :]
    found = await helper.probe("audio", written)
    assert (found.format, found.duration_ms) == ("wav", 2000)
    for cut in (written[: at + 4], written[:20]) if length else ():
        assert isinstance(await helper.probe("audio", cut), Refused)
    assert isinstance(await helper.probe("audio", data[: at + 1000]), Refused), "it says that it is longer"


def ffmpeg(*arguments: str) -> bytes:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", *arguments]
    return subprocess.run(command, check=True, capture_output=True).stdout


@pytest.mark.parametrize("options", [(), ("-live", "1"), ("-cluster_time_limit", "100"), ("-an",)], ids=range(4))
async def test_a_recording_of_a_browser_is_as_long_as_its_last_block_says(helper, options):
    """As MediaRecorder writes it, and `ffmpeg -f webm -`: into a pipe, which cannot be gone back in."""
    seen = ("-f", "lavfi", "-i", "testsrc=size=64x48:rate=8:duration=2", "-f", "lavfi", "-i", "sine=duration=2")
    data = ffmpeg(*seen, *options, "-c:v", "libvpx", "-f", "webm", "-")
    found = await helper.probe("video", data)
    assert isinstance(found, Probed), found
    assert (found.format, found.width, found.height, found.has_audio) == ("webm", 64, 48, "-an" not in options)
    assert 1800 <= found.duration_ms <= 2010
    for spoilt in (data[: len(data) // 2], data[:300], data[:-1]):
        assert isinstance(await helper.probe("video", spoilt), Probed | Refused)


@pytest.mark.parametrize("way", ["file", "pipe"])
async def test_a_voice_that_a_browser_recorded_is_a_sound(helper, clip, tmp_path, way):
    """MediaRecorder's `audio/webm`."""
    about = ("-f", "lavfi", "-i", "sine=duration=2", "-c:a", "libopus", "-f", "webm")
    path = tmp_path / "voice.webm"
    data = ffmpeg(*about, "-") if way == "pipe" else ffmpeg(*about, str(path)) or path.read_bytes()
    _, (file,) = take_inputs({"v": data_uri(data)}, ["v"])
    assert (file.kind, file.mime) == ("audio", "audio/webm")
    found = await helper.probe("audio", data)
    assert isinstance(found, Probed), found
    assert found.format == "weba"
    assert abs(found.duration_ms - 2000) < 50
    assert await helper.probe("video", data) == Refused("the file is a sound, not a video")


async def test_a_clip_that_is_cut_off_is_no_recording(helper, clip):
    data = clip("webm")
    assert isinstance(await helper.probe("video", data), Probed)
    assert isinstance(await helper.probe("video", data[: len(data) // 2]), Refused)


@pytest.mark.parametrize("turned", range(1, 9))
async def test_a_picture_has_the_size_that_it_is_shown_in(helper, turned):
    """Cameras write what the sensor saw, and how it is to be turned."""
    exif = Image.Exif()
    exif[0x0112] = turned
    for name in ("JPEG", "WEBP", "TIFF"):
        out = io.BytesIO()
        Image.new("RGB", (40, 30)).save(out, name, exif=exif.tobytes() if name != "TIFF" else exif)
        found = await helper.probe("image", out.getvalue())
        assert (found.width, found.height) == ((40, 30) if turned < 5 else (30, 40)), name


@pytest.mark.parametrize("turned", [90, 180, 270])
async def test_a_clip_has_the_size_that_it_is_shown_in(helper, clip, tmp_path, turned):
    path = tmp_path / "as-filmed.mp4"
    path.write_bytes(clip("mp4"))
    ffmpeg("-display_rotation", str(turned), "-i", str(path), "-c", "copy", str(tmp_path / "held.mp4"))
    found = await helper.probe("video", (tmp_path / "held.mp4").read_bytes())
    assert (found.width, found.height) == ((64, 48) if turned == 180 else (48, 64))


@pytest.mark.parametrize("inside", ["flac", "mp3", "aac"])
async def test_a_tag_before_a_sound_does_not_say_what_it_is(helper, clip, inside):
    tag = b"ID3\4\0\0\0\0\x02\x0a" + bytes(266)
    data = clip(inside, "-id3v2_version", "0") if inside == "mp3" else clip(inside)
    for given in (data, tag + data):
        assert (await helper.probe("audio", given)).format == inside


async def test_raw_pictures_of_cameras_are_called_so(helper):
    """Their files are TIFFs, in which the library sees a small preview."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[50706] = b"\1\4\0\0"
    out = io.BytesIO()
    Image.new("RGB", (160, 120)).save(out, "TIFF", tiffinfo=tags)
    told = Refused("the file is a camera's raw picture, whose format no model takes")
    assert await helper.probe("image", out.getvalue()) == told


def data_uri(data: bytes) -> str:
    return f"data:application/octet-stream;base64,{base64.b64encode(data).decode()}"
