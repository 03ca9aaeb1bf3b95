"""Pixel art for grid worlds: 8x8 pictures in letters, one letter a colour, a dot for see-through."""

from __future__ import annotations

SIZE = 8
"""Pixels of an icon's side."""

COLOURS: dict[str, tuple[int, int, int]] = {
    "k": (43, 45, 66),
    "w": (255, 255, 255),
    "s": (176, 184, 196),
    "S": (108, 117, 135),
    "r": (214, 64, 69),
    "R": (158, 42, 43),
    "o": (238, 150, 75),
    "y": (250, 210, 80),
    "Y": (214, 158, 46),
    "b": (168, 112, 72),
    "B": (110, 70, 48),
    "g": (96, 176, 88),
    "G": (54, 122, 72),
    "c": (122, 212, 232),
    "u": (66, 122, 200),
    "U": (36, 76, 140),
    "p": (246, 206, 170),
    "v": (142, 96, 190),
}
"""Letter -> red, green, blue."""

ICONS: dict[str, str] = {
    "agent": """
        ..kkkk..
        .kppppk.
        .pkppkp.
        .pppppp.
        ..pppp..
        .uuuuuu.
        p.uuuu.p
        ..U..U..""",
    "coffee": """
        ..s..s..
        .s..s...
        ..s..s..
        rrrrrr..
        rBBBBrrr
        rrrrrr.r
        rrrrrrrr
        .RRRR...""",
    "mail": """
        ........
        kkkkkkkk
        kwwwwwwk
        kswwwwsk
        kwsrrswk
        kwwrrwwk
        kkkkkkkk
        ........""",
    "office": """
        .kkkkkk.
        .kcccck.
        .kccwck.
        .kkkkkk.
        ...SS...
        bbbbbbbb
        b......b
        b......b""",
    "decoration": """
        .g.GG.g.
        ggGggGgg
        .gGggGg.
        gg.gg.gg
        ...GG...
        .oooooo.
        .oooooo.
        ..RRRR..""",
    "wood": """
        ...gg...
        ..gggg..
        .gggGgg.
        .gGgggg.
        gggggGgg
        ..gBbg..
        ...Bb...
        ..BBbb..""",
    "grass": """
        ........
        ....g...
        .g..g.g.
        .g.gG.g.
        .gGgG.gg
        ggGgGggG
        GgGgGgGG
        GGGGGGGG""",
    "iron": """
        ........
        ..SSSS..
        .SsssoS.
        SssoosSS
        SsoossSk
        SssssoSk
        .SSSSkk.
        ........""",
    "toolshed": """
        ...RR...
        ..RrrR..
        .RrrrrR.
        RrrrrrrR
        .bbbbbb.
        .bbkkbb.
        .bbkkbb.
        .bbkkbb.""",
    "workbench": """
        ....SS..
        ...SSSS.
        ....BB..
        bbbbbbbb
        BBBBBBBB
        .B....B.
        .B....B.
        .B....B.""",
    "factory": """
        .s......
        s.......
        .S...S..
        .S..SS.S
        .S.SSSSS
        SSSSSSSS
        SySySySS
        SSSSSSSS""",
    "bridge": """
        ........
        ..bbbb..
        .bB..Bb.
        bbbbbbbb
        BB.BB.BB
        ucuucuuc
        cuucuucu
        uuuuuuuu""",
    "gem": """
        ........
        .cccccc.
        ccwccwcc
        cwccccuc
        .ccccuc.
        ..cuuc..
        ...cu...
        ........""",
    "dry tomato": """
        ........
        ..g..g..
        ...gg...
        ..bbbb..
        .bbbbbb.
        .bbbbbb.
        ..bbbb..
        ........""",
    "tomato": """
        ...gg...
        .gggggg.
        ..rggr..
        .rrrrrr.
        rrwrrrrr
        rrrrrrrR
        .rrrrRR.
        ..rRRR..""",
    "bucket": """
        ..SSSS..
        .S....S.
        SsssssSS
        SuuuuuuS
        .SssssS.
        .SssssS.
        .SssssS.
        ..SSSS..""",
    "key": """
        .yyy....
        yy.yy...
        yy.yy...
        .yyy....
        ..y.....
        ..yyY...
        ..y.....
        ..yyY...""",
    "door": """
        BBBBBBBB
        BbbbbbbB
        BbBbbBbB
        BbBbbBbB
        BbbbbyyB
        BbBbbBbB
        BbBbbBbB
        BbbbbbbB""",
    "open door": """
        BBBBBBBB
        Bb.....B
        BbB....B
        BbB....B
        Bby....B
        BbB....B
        BbB....B
        Bb.....B""",
    "chest": """
        ........
        .BBBBBB.
        BbbbbbbB
        BbbbbbbB
        BBByyBBB
        BbbyybbB
        BbbbbbbB
        BBBBBBBB""",
    "open chest": """
        BBBBBBBB
        BbbbbbbB
        ByYyyYyB
        yyyYyyyy
        BBBBBBBB
        BbbyybbB
        BbbbbbbB
        BBBBBBBB""",
    "goal": """
        .k......
        .krrrr..
        .krrrrrr
        .krrrr..
        .k......
        .k......
        .k......
        kkk.....""",
    "mark": """
        ........
        ...vv...
        ..vvvv..
        .vvwwvv.
        .vvwwvv.
        ..vvvv..
        ...vv...
        ........""",
    "house": """
        ...RR...
        ..RRRR..
        .RRRRRR.
        RRRRRRRR
        .wwwwww.
        .wuwwbw.
        .wwwwbw.
        .wwwwbw.""",
    "sheep": """
        ..wwww..
        .wwwwwkk
        wwwwwkwk
        wwwwwwkk
        wwwwwwww
        .wwwwww.
        .k.kk.k.
        .k.kk.k.""",
    "coin": """
        ..YYYY..
        .YyyyyY.
        YyyYYyyY
        YyYyyyyY
        YyYyyyyY
        YyyYYyyY
        .YyyyyY.
        ..YYYY..""",
    "roadblock": """
        ........
        kkkkkkkk
        rwwrrwwr
        wwrrwwrr
        kkkkkkkk
        .k....k.
        .k....k.
        kkk..kkk""",
    "a": """
        .vvvvvv.
        vvvwwvvv
        vvwvvwvv
        vvwvvwvv
        vvwwwwvv
        vvwvvwvv
        vvwvvwvv
        .vvvvvv.""",
    "b": """
        .vvvvvv.
        vvwwwvvv
        vvwvvwvv
        vvwwwvvv
        vvwvvwvv
        vvwvvwvv
        vvwwwvvv
        .vvvvvv.""",
    "c": """
        .vvvvvv.
        vvvwwwvv
        vvwvvvvv
        vvwvvvvv
        vvwvvvvv
        vvwvvvvv
        vvvwwwvv
        .vvvvvv.""",
    "d": """
        .vvvvvv.
        vvwwwvvv
        vvwvvwvv
        vvwvvwvv
        vvwvvwvv
        vvwvvwvv
        vvwwwvvv
        .vvvvvv.""",
    "button a": """
        ........
        .ssssss.
        .srrrrs.
        .srrrrs.
        .sRRRRs.
        .ssssss.
        .SSSSSS.
        ........""",
    "button b": """
        ........
        .ssssss.
        .suuuus.
        .suuuus.
        .sUUUUs.
        .ssssss.
        .SSSSSS.
        ........""",
}
"""What -> its picture."""
