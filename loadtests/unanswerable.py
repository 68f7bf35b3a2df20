"""Texts to ask a collection of everyday photos for, which it cannot answer; and a few words that it can.

`UNSEEN` is what is reported: nothing was chosen by it, where `TUNED` was for choosing. `ABSENT` are things that photos
do show, but those of people and dogs outdoors hardly do; `SHORT` are what such photos are full of, in fewer words than
a caption has.
"""

from __future__ import annotations

TUNED: dict[str, tuple[str, ...]] = {
    "en": (
        "invoice with itemised taxes", "organic chemistry reaction mechanism", "database schema for an online shop",
        "quantum field theory lecture notes", "annual report of a bank", "python function that sorts a list",
        "tax return form", "x-ray of a broken wrist", "floor plan of a two bedroom flat",
        "stock market candlestick chart", "periodic table of the elements", "legal contract for renting an office",
        "how to configure a firewall", "electron microscope picture of a virus", "sheet music for a string quartet",
        "railway timetable", "election results by county", "proof of the fundamental theorem of algebra",
        "blood test results", "wiring of a three phase motor", "patent drawing of a gearbox", "crossword puzzle",
        "inflation rate forecast", "medical prescription", "kernel panic stack trace", "terms and conditions of use",
        "histogram of response times", "recipe for sourdough bread", "map of submarine cables",
        "genome sequence alignment", "minutes of the board meeting", "payslip for march",
        "flow chart of the approval process", "phase diagram of water", "network topology of the data centre",
        "spectrogram of a whale song", "login page mockup", "regression coefficients", "exchange rate of the yen",
        "warranty card", "ultrasound scan", "insurance claim number", "logarithm table",
        "constitution of the republic", "cash flow statement",
    ),
    "zh": (
        "增值税发票", "有机化学反应机理", "网上商店的数据库结构", "量子力学讲义", "银行年度报告", "排序算法的代码",
        "个人所得税申报表", "手腕骨折的X光片", "两居室的户型图", "股票K线图", "元素周期表", "办公室租赁合同",
        "怎样设置防火墙", "病毒的电子显微镜照片", "弦乐四重奏乐谱", "列车时刻表", "各县选举结果",
        "代数基本定理的证明", "验血报告", "三相电机接线图", "变速箱的专利图纸", "填字游戏", "通货膨胀率预测",
        "医生处方", "系统崩溃日志", "使用条款", "响应时间直方图", "海底光缆分布图", "基因序列比对", "董事会会议纪要",
        "三月份工资单", "审批流程图", "水的相图", "数据中心网络拓扑", "登录页面原型", "回归系数", "日元汇率",
        "保修卡", "超声波检查", "保险理赔编号", "对数表", "宪法条文", "现金流量表", "商标注册证", "数学考试卷",
    ),
}  # fmt: skip
UNSEEN: dict[str, tuple[str, ...]] = {
    "en": (
        "quarterly revenue table", "circuit diagram", "balance sheet of the company", "unit tests for the parser",
        "bar chart of monthly sales", "molecular structure of caffeine", "brain MRI scan",
        "source code of an operating system", "spreadsheet with project budget", "business card template",
        "architectural blueprint of a bridge", "privacy policy update", "trigonometric identities",
        "hotel booking confirmation", "organisation chart of the ministry", "error message on a blue screen",
        "SQL query plan", "pie chart of market share", "driving licence application",
        "handwritten equation on relativity", "power point slide about strategy", "weather radar forecast",
        "curriculum vitae of an engineer", "nutrition facts label", "enzyme kinetics plot", "customs declaration",
        "stack overflow question about pointers", "bank account statement", "schematic of an amplifier",
        "CT image of the lungs", "scatter plot of height against weight", "user manual for a dishwasher",
        "cryptographic hash function", "dictionary entry for a verb", "municipal zoning map",
        "gross domestic product per capita", "json configuration file", "barcode of a product",
        "chess opening theory", "mortgage interest calculator", "bibliography in alphabetical order",
        "class diagram in UML", "seismograph recording", "boarding pass", "receipt from the pharmacy", "gantt chart",
        "logic gate truth table", "mass spectrometer readings", "voter registration deadline",
        "purchase order number", "philosophy of mind essay", "theorem about prime numbers",
        "press release on the merger", "telephone directory", "crystal lattice defects", "meeting agenda for monday",
        "compiler optimisation flags", "dna double helix illustration", "shipping label", "galaxy redshift survey",
    ),
    "zh": (
        "季度营收表", "电路图", "公司资产负债表", "月度销售柱状图", "咖啡因的分子结构", "脑部核磁共振",
        "操作系统源代码", "项目预算电子表格", "名片模板", "桥梁建筑蓝图", "隐私政策更新", "三角恒等式",
        "酒店预订确认单", "组织架构图", "蓝屏错误信息", "数据库查询语句", "市场份额饼图", "驾照申请表", "相对论公式",
        "战略规划幻灯片", "天气雷达预报", "工程师的简历", "营养成分表", "海关申报单", "银行对账单", "放大器原理图",
        "肺部CT影像", "身高体重散点图", "洗碗机使用说明书", "加密算法", "词典条目", "国内生产总值", "配置文件",
        "商品条形码", "围棋定式", "房贷利率计算", "参考文献列表", "地震记录仪", "登机牌", "药店收据", "甘特图",
        "真值表", "质谱仪读数", "选民登记截止日期", "采购订单编号", "哲学论文", "质数定理", "公司合并新闻稿",
        "电话号码簿", "晶体缺陷", "会议议程", "编译器优化选项", "双螺旋结构示意图", "快递单", "星系红移巡天",
        "股东大会决议", "软件许可协议", "学生成绩单", "货币政策分析", "专利申请书",
    ),
}  # fmt: skip
ABSENT: dict[str, tuple[str, ...]] = {
    "en": (
        "an elephant in the savannah", "a bowl of ramen with an egg", "aeroplane cockpit",
        "a submarine under the ice", "a wedding cake", "a grand piano on a stage", "penguins on an iceberg",
        "the surface of the moon", "a pizza with mushrooms", "a cathedral ceiling", "a sewing machine",
        "a jar of honey", "an empty office with computers", "a lighthouse", "a red sports car in a showroom",
        "a bouquet of tulips", "a spider on its web", "a laptop keyboard", "a bathroom with white tiles",
        "an oil painting of a queen",
    ),
    "zh": (
        "草原上的大象", "一碗拉面", "飞机驾驶舱", "冰下的潜水艇", "婚礼蛋糕", "舞台上的三角钢琴", "冰山上的企鹅",
        "月球表面", "蘑菇披萨", "教堂的穹顶", "缝纫机", "一罐蜂蜜", "空荡荡的办公室", "灯塔", "展厅里的红色跑车",
        "一束郁金香", "蛛网上的蜘蛛", "笔记本电脑键盘", "白色瓷砖的浴室", "女王的油画",
    ),
}  # fmt: skip
SHORT: dict[str, tuple[str, ...]] = {
    "en": (
        "dog", "dogs", "beach", "child", "snow", "man on a bike", "football", "water", "boy", "girl in red",
        "running", "grass", "mountain", "jump", "swimming pool",
    ),
    "zh": (
        "狗", "海滩", "孩子", "雪", "骑自行车的人", "足球", "水", "男孩", "穿红衣服的女孩", "奔跑", "草地", "山",
        "跳", "游泳池",
    ),
}  # fmt: skip
