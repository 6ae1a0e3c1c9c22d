"""What ranks a page before another: every number and word list of the search, with its reason.

A change here must not lower the hit rate that `tests/docsite/test_search.py` records.
"""

from __future__ import annotations

from modellix_server.docsite.page import Kind

FIELDS = {"title": 4.0, "heading": 3.0, "names": 5.0, "ids": 1.8, "text": 1.0, "code": 0.5, "pairs": 0.3, "about": 0.5}
"""A word in a title or heading says what a piece is about; in a name (`alibaba/wan2.6-t2v`) it is the subject. As
code within a line it is exact, in a sample incidental. Pairs of Chinese characters also match across words: they count
little, and only help where jieba cut a word in another way. `about` is the page's summary, in each of its pieces: a
table of parameters does not say what it is a table of."""

GENERIC = 0.25
GENERIC_WORDS = (
    *("video", "image", "picture", "model", "api", "task", "file", "text", "request", "use", "make", "generate"),
    *("modellix", "图片", "视频", "模型", "任务", "生成"),
)
"""Words of most questions and most titles: they count less than what stands beside them."""

SYNONYM = 0.75
"""A synonym says nearly the same; the asker's own word should win."""
TYPO = 0.5
"""A word one or two letters away, where the index does not know the word itself."""
PREFIX = 0.7
"""A longer word that begins with the last one, as long as somebody types."""
MOST_ALIKE = 6
"""Words in place of one mistyped or unfinished: more make a query slow and vague."""
FUZZY_FROM = 5
"""Shorter words are one letter away from too many others."""

KINDS = {Kind.GUIDE: 1.0, Kind.MODEL: 0.85, Kind.ENDPOINT: 0.75, Kind.ERROR: 0.8, Kind.SETTING: 0.7, Kind.DESIGN: 0.3}
"""Most questions are about use: a guide answers more of them than one model of a hundred alike, and pages about the
design of the platform are for those who change it. Titles of routes are sentences, with words of many questions."""
SLUGS = {"changelog/product-updates": 0.5, "architecture": 0.7}
"""Pages that mention everything and explain little of it."""
NAMED = 2.5
"""A page whose own name (id, route, code, variable) is in the query, whole."""
COVERED = 2.0
"""Added for the share of the query's words that the piece contains: all of them once beats a rare one often."""
MORE = 0.08
"""Added to a page's best piece for the score of each further one: several fitting pieces are a sign, not a proof."""
MOST_PIECES = 60
"""Pieces that are looked at; what is further down never came up among the first pages."""

SYNONYMS = (
    ("first and last frame", "首尾帧", "首尾帧生视频", "kf2v", "fl2v", "keyframe", "start and end frame"),
    ("text to image", "文生图", "t2i", "text-to-image", "文字生成图片", "generate image"),
    (
        "image to image",
        "图生图",
        "i2i",
        "image-to-image",
        "edit image",
        "图片编辑",
        "修图",
        "图像编辑",
        "photo editing",
    ),
    ("text to video", "文生视频", "t2v", "text-to-video", "make video", "文字生成视频"),
    ("image to video", "图生视频", "i2v", "image-to-video", "animate picture"),
    ("video to video", "视频编辑", "video-to-video"),
    ("try-on", "tryon", "试衣", "虚拟试衣", "换装", "clothes"),
    ("outpainting", "扩图", "out-painting", "extend image"),
    ("translate", "translate image text", "图片翻译", "image translation"),
    ("wordart", "艺术字", "文字艺术"),
    ("watermark", "水印"),
    ("audio", "配音", "音频", "声音", "soundtrack", "dubbing", "sound", "voice", "music"),
    ("price", "价格", "cost", "计费", "费用", "charge", "收费", "定价", "多少钱", "how much", "pricing", "fee"),
    ("recharge", "充值", "top up", "topup", "add money", "付款", "支付", "top-up"),
    ("balance", "余额", "money left", "funds"),
    ("refund", "退款"),
    ("statement", "invoice", "receipt", "发票", "收据", "对账单", "账单"),
    ("budget", "预算", "spending limit", "spend cap"),
    ("quote", "报价", "estimate", "预估"),
    ("rate limit", "限流", "频率限制", "too many requests", "429", "throttle", "速率限制", "x-ratelimit-reset"),
    ("concurrent limit", "并发", "concurrency", "parallel", "simultaneous"),
    ("queue", "排队", "队列"),
    ("idempotency", "幂等", "duplicate", "twice", "重复", "idempotency-key", "double charge", "charged twice"),
    ("retry", "重试", "backoff", "try again", "recover"),
    ("error", "错误", "报错", "failure", "失败", "fail", "problem"),
    ("authentication", "鉴权", "认证", "authorization", "bearer", "unauthorized", "401", "授权"),
    ("api key", "密钥", "apikey", "token", "secret key", "api 密钥", "钥匙"),
    ("rotate key", "轮换", "renew key"),
    ("webhook", "回调", "通知", "callback", "notify"),
    ("replay", "resend", "redeliver", "send again", "重发"),
    ("signature", "签名", "verify", "验签", "hmac"),
    ("poll", "轮询", "polling", "query status", "查询状态", "status", "进度", "progress"),
    ("events", "stream", "流式", "sse", "server-sent", "streaming", "eventsource", "实时"),
    ("long poll", "长轮询", "wait"),
    ("cancel", "取消", "abort", "stop task", "中止"),
    ("task", "任务", "job"),
    ("result", "结果", "output", "generated file", "generated image", "generated video"),
    ("download", "下载", "save", "fetch file"),
    (
        "24 hours",
        "过期",
        "保留",
        "retention",
        "expire",
        "保存多久",
        "how long kept",
        "lifetime",
        "有效期",
        "kept",
        "keep",
        "stored",
    ),
    ("upload", "上传", "file", "文件", "media"),
    ("mcp", "cursor", "claude", "agent", "智能体", "model context protocol"),
    ("openai", "chatgpt", "gpt"),
    ("test mode", "测试模式", "sandbox", "沙盒", "沙箱", "without money", "free", "免费", "test key", "测试"),
    ("install", "安装", "部署", "deploy", "self-host", "set up", "setup", "start", "自托管", "启动", "运行", "docker"),
    ("upgrade", "升级", "update version", "new version", "roll back", "更新版本", "downtime"),
    ("backup", "备份", "restore", "恢复", "back up"),
    ("settings", "设置", "环境变量", "配置", "environment variable", "config", "configuration", "env"),
    ("mail", "邮件", "email", "smtp", "邮箱"),
    ("sign in", "登录", "login", "log in", "sso", "single sign-on", "oidc", "google", "github"),
    ("sign up", "注册", "register", "create account"),
    ("team", "团队", "organization", "workspace"),
    ("invite", "邀请", "invitation", "member", "成员", "colleague"),
    ("role", "角色", "permission", "权限", "rights", "may do"),
    ("console", "控制台", "dashboard", "playground", "界面"),
    ("log", "日志", "request history", "请求记录", "history", "past requests"),
    ("ledger", "流水", "账目", "transaction"),
    ("monitor", "监控", "metrics", "prometheus", "grafana", "alert", "告警", "指标"),
    ("encryption", "加密", "security", "安全", "master key"),
    ("database", "数据库", "postgresql", "postgres"),
    ("storage", "存储", "s3", "bucket", "object store"),
    ("several machines", "多台机器", "scale", "cluster", "扩容", "集群", "high availability"),
    ("vendor account", "供应商", "provider key", "vendor key", "vendor's key", "dashscope", "账号"),
    ("moderation", "审核", "content rejected", "nsfw", "blocked prompt", "敏感", "违规"),
    ("deadline", "超时", "timeout", "timed out", "took too long", "太慢", "slow"),
    ("retire", "下线", "deprecated", "停用", "retirement", "sunset", "弃用"),
    ("new models", "新模型", "新增模型"),
    ("model list", "模型列表", "有哪些模型", "all models", "which models", "models", "模型"),
    ("resolution", "size", "分辨率", "尺寸", "1080p", "720p", "大小", "dimensions", "width height"),
    ("duration", "seconds", "时长", "秒", "length", "how long video", "clip length"),
    ("prompt", "提示词"),
    ("seed", "reproducible", "种子", "same picture again"),
    (
        "quickstart",
        "快速开始",
        "快速入门",
        "first request",
        "getting started",
        "hello world",
        "入门",
        "第一张",
        "first picture",
        "first image",
        "curl example",
        "begin",
    ),
    ("openapi", "swagger", "schema", "specification"),
    ("leaked", "泄露", "stolen", "compromised"),
    ("audit", "审计"),
    ("image", "图片", "图像", "picture", "photo", "照片"),
    ("video", "视频", "clip", "movie"),
    ("submit", "提交", "调用"),
    ("usage", "用量", "消费", "spending", "consumption"),
    ("header", "请求头", "响应头"),
    ("maximum cost", "x-max-cost", "most expensive", "上限", "封顶", "limit cost"),
    ("reverse proxy", "behind", "反向代理", "nginx", "https", "tls", "certificate", "证书", "域名"),
    ("hailuo", "halio", "海螺"),
    ("qwen", "千问", "通义千问", "quen"),
    ("wan", "万相", "通义万相", "wanx"),
    ("seedance", "即梦", "seedence"),
    ("bytedance", "字节", "字节跳动"),
    ("alibaba", "阿里", "阿里巴巴"),
    ("minimax", "稀宇"),
)
"""Ways to say the same, also across the two languages: a Chinese question finds an English page. The first of a row is
the word that the pages use."""
