"""Everyday Chinese words with their English, written for this project: short queries are often one of them.

Kept as `中文 english` pairs, parted by bars.
"""

from __future__ import annotations

_LINES = """
猫 cat|小猫 kitten|狗 dog|小狗 puppy|马 horse|牛 cow|羊 sheep|猪 pig|鸡 chicken|鸭子 duck|鹅 goose|兔子 rabbit
老鼠 mouse|大象 elephant|狮子 lion|老虎 tiger|豹 leopard|熊 bear|北极熊 polar bear|熊猫 panda|狼 wolf|狐狸 fox
鹿 deer|骆驼 camel|斑马 zebra|长颈鹿 giraffe|猴子 monkey|大猩猩 gorilla|河马 hippopotamus|犀牛 rhinoceros
袋鼠 kangaroo|松鼠 squirrel|刺猬 hedgehog|蝙蝠 bat|鸟 bird|鹰 eagle|猫头鹰 owl|鹦鹉 parrot|孔雀 peacock|企鹅 penguin
天鹅 swan|火烈鸟 flamingo|鱼 fish|金鱼 goldfish|鲨鱼 shark|鲸 whale|海豚 dolphin|海豹 seal|章鱼 octopus
水母 jellyfish|螃蟹 crab|龙虾 lobster|青蛙 frog|蛇 snake|蜥蜴 lizard|乌龟 turtle|鳄鱼 crocodile|恐龙 dinosaur
蜗牛 snail|蜘蛛 spider|蝴蝶 butterfly|蜜蜂 bee|蚂蚁 ant|蜻蜓 dragonfly|甲虫 beetle|人 person|男人 man|女人 woman
男孩 boy|女孩 girl|婴儿 baby|孩子 child|老人 old man|人群 crowd|家庭 family|警察 police officer|士兵 soldier
医生 doctor|护士 nurse|老师 teacher|学生 student|厨师 chef|农民 farmer|工人 worker|消防员 firefighter
宇航员 astronaut|飞行员 pilot|歌手 singer|舞者 dancer|新娘 bride|运动员 athlete|汽车 car|卡车 truck|公共汽车 bus
出租车 taxi|救护车 ambulance|消防车 fire engine|拖拉机 tractor|摩托车 motorcycle|自行车 bicycle|火车 train
地铁 underground train|飞机 aeroplane|直升机 helicopter|火箭 rocket|船 boat|帆船 sailing boat|轮船 ship|独木舟 canoe
热气球 hot-air balloon|滑板 skateboard|轮子 wheel|道路 road|桥 bridge|隧道 tunnel|机场 airport|车站 station
港口 harbour|红绿灯 traffic lights|房子 house|大楼 building|摩天大楼 skyscraper|塔 tower|城堡 castle|教堂 church
寺庙 temple|宫殿 palace|学校 school|医院 hospital|图书馆 library|博物馆 museum|商店 shop|餐馆 restaurant|市场 market
工厂 factory|农场 farm|公园 park|花园 garden|广场 square|街道 street|城市 city|村庄 village|喷泉 fountain
雕像 statue|墙 wall|砖 brick|门 door|窗户 window|楼梯 stairs|屋顶 roof|围栏 fence|山 mountain|雪山 snowy mountain
河流 river|湖 lake|海 sea|海滩 beach|海浪 wave|岛 island|瀑布 waterfall|森林 forest|沙漠 desert|草地 meadow
田野 field|火山 volcano|悬崖 cliff|洞穴 cave|岩石 rock|沙子 sand|天空 sky|云 cloud|彩虹 rainbow|太阳 sun|月亮 moon
星星 stars|银河 galaxy|日出 sunrise|日落 sunset|夜晚 night|雨 rain|雪 snow|雾 fog|闪电 lightning|火 fire|冰 ice
春天 spring|秋天 autumn|冬天 winter|树 tree|树叶 leaf|草 grass|花 flower|玫瑰 rose|向日葵 sunflower|菊花 daisy
竹子 bamboo|蘑菇 mushroom|仙人掌 cactus|苹果 apple|香蕉 banana|橙子 orange|柠檬 lemon|葡萄 grapes|草莓 strawberry
西瓜 watermelon|菠萝 pineapple|桃子 peach|蔬菜 vegetables|西兰花 broccoli|胡萝卜 carrot|玉米 corn|土豆 potato
番茄 tomato|面包 bread|蛋糕 cake|披萨 pizza|汉堡 hamburger|热狗 hot dog|面条 noodles|米饭 rice|汤 soup|鸡蛋 egg
奶酪 cheese|肉 meat|冰淇淋 ice cream|巧克力 chocolate|咖啡 coffee|茶 tea|牛奶 milk|啤酒 beer|葡萄酒 wine|水 water
杯子 cup|瓶子 bottle|盘子 plate|碗 bowl|刀 knife|叉子 fork|勺子 spoon|茶壶 teapot|锅 pot|桌子 table|椅子 chair
沙发 sofa|床 bed|灯 lamp|书 book|书架 bookshelf|报纸 newspaper|信 letter|纸 paper|笔 pen|文字 text|地图 map|钟 clock
手表 watch|镜子 mirror|钥匙 key|硬币 coin|钱 money|盒子 box|篮子 basket|包 bag|背包 backpack|雨伞 umbrella
蜡烛 candle|玩具 toy|气球 balloon|礼物 gift|电脑 computer|笔记本电脑 laptop|键盘 keyboard|鼠标 computer mouse
电话 telephone|手机 mobile phone|电视 television|照相机 camera|收音机 radio|冰箱 refrigerator|洗衣机 washing machine
微波炉 microwave oven|工具 tool|锤子 hammer|显微镜 microscope|望远镜 telescope|吉他 guitar|钢琴 piano|小提琴 violin
鼓 drum|喇叭 trumpet|帽子 hat|头盔 helmet|眼镜 glasses|墨镜 sunglasses|衬衫 shirt|外套 coat|裙子 skirt|连衣裙 dress
裤子 trousers|牛仔裤 jeans|鞋子 shoes|靴子 boots|手套 gloves|围巾 scarf|领带 tie|项链 necklace|戒指 ring
足球 football|篮球 basketball|网球 tennis|棒球 baseball|高尔夫 golf|排球 volleyball|游泳 swimming|潜水 diving
冲浪 surfing|滑雪 skiing|滑冰 ice skating|跑步 running|跳跃 jumping|攀岩 rock climbing|徒步 hiking|钓鱼 fishing
露营 camping|骑马 horse riding|拳击 boxing|舞蹈 dance|婚礼 wedding|派对 party|音乐会 concert|比赛 competition
游行 parade|绘画 painting|照片 photograph|微笑 smile|脸 face|眼睛 eye|手 hand|头发 hair|红色 red|蓝色 blue
绿色 green|黄色 yellow|黑色 black|白色 white|棕色 brown|粉色 pink|紫色 purple|灰色 grey
"""


def _pairs() -> tuple[tuple[str, str], ...]:
    entries = (entry.partition(" ") for line in _LINES.split("\n") if line for entry in line.split("|"))
    return tuple((chinese, english) for chinese, _, english in entries)


WORDS: tuple[tuple[str, str], ...] = _pairs()
