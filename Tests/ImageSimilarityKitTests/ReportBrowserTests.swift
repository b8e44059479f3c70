import Foundation
import ImageSimilarityKit
import Testing

/// What a page shows in a browser, and what it does there.
@Suite(
  .serialized,
  .enabled(if: Browser.path != nil, "needs Chromium, the package 'chromium', or its path in IMSIM_CHROMIUM"))
struct ReportBrowserTests {
  private let folder: TemporaryFolder
  private let browser: Browser
  private let page: URL

  init() throws {
    folder = try TemporaryFolder()
    page = folder.url("page.html")
    try ReportFixture.page().write(to: page)
    browser = try Browser()
    try browser.resize(width: 1200, height: 900)
    try browser.prefer(dark: false)
  }

  private func image(_ png: Data) throws -> RGBImage {
    try VipsImageDecoder().decode(.data(png), maximumSide: nil)
  }

  @Test func showsNamesAsTextAndRunsNothing() throws {
    try browser.open(page)
    #expect(try browser.evaluate("typeof window.canary", as: String.self) == "undefined")
    let names = try browser.evaluate(
      "[...document.querySelectorAll('ol .name')].map(e => e.textContent)", as: [String].self)
    #expect(names == ReportFixture.names)
    #expect(try browser.evaluate("document.title", as: String.self) == ReportFixture.names[0])
    #expect(try browser.evaluate("document.scripts.length", as: Int.self) == 2)
    #expect(
      try browser.evaluate("document.querySelectorAll('[onerror], [onload], [onmouseover]').length", as: Int.self) == 0)
    // The policy stops what would come from elsewhere, even if the page asked for it.
    #expect(browser.complaints == [])
    let allowed = try browser.evaluate(
      """
      new Promise(done => {
        const script = document.createElement("script");
        script.textContent = "window.canary = 7";
        document.body.append(script);
        const image = new Image();
        image.onload = image.onerror = event => done(`${typeof window.canary} ${event.type}`);
        image.src = "http://127.0.0.1:9/x.png";
      })
      """, as: String.self)
    #expect(allowed == "undefined error")
    #expect(browser.complaints.filter { $0.contains("Content Security Policy") }.count >= 2)
  }

  @Test func picturesAreThere() throws {
    try browser.open(page)
    let widths = try browser.evaluate(
      "Promise.all([...document.images].map(i => i.decode().then(() => i.naturalWidth)))", as: [Int].self)
    // The query, nine hits, two members; two heat maps.
    #expect(widths.count == 14 && widths.allSatisfy { $0 > 0 })
    #expect(try browser.evaluate("[...document.images].every(i => i.hasAttribute('alt'))", as: Bool.self))
    #expect(try browser.evaluate("document.querySelectorAll('.missing').length", as: Int.self) == 2)
    let loaded = try browser.evaluate(
      """
      (async () => {
        const image = new Image();
        image.src = document.querySelector(".map image").getAttribute("href");
        await image.decode();
        return image.naturalWidth;
      })()
      """, as: Int.self)
    #expect(loaded == 512)
    // The outline lies on the picture, which is wider than high, in its square frame.
    let outline = try browser.evaluate(
      """
      (() => {
        const frame = document.querySelector("ol .frame").getBoundingClientRect();
        const r = document.querySelector("ol .region rect").getBoundingClientRect();
        return [(r.x - frame.x) / frame.width, (r.y - frame.y) / frame.height].map(v => Math.round(v * 100));
      })()
      """, as: [Int].self)
    #expect(abs(outline[0] - 25) <= 2 && abs(outline[1] - 50) <= 2)
  }

  @Test(arguments: [320, 390, 1400])
  func fitsTheWindow(_ width: Int) throws {
    try browser.resize(width: width, height: 800, isPhone: width < 500)
    try browser.open(page)
    #expect(try browser.evaluate("document.documentElement.scrollWidth", as: Int.self) <= width)
    #expect(try browser.evaluate("window.innerWidth", as: Int.self) == width)
    let narrow = try browser.evaluate(
      "[...document.querySelectorAll('.card .frame')].filter(f => f.offsetWidth < 90).length", as: Int.self)
    #expect(narrow == 0)
  }

  @Test func goesByKeyboard() throws {
    try browser.open(page)
    func active() throws -> String {
      try browser.evaluate("document.activeElement.id || document.activeElement.className", as: String.self)
    }
    try browser.press("Tab")
    #expect(try active() == "skip")
    #expect(try browser.evaluate("document.activeElement.getBoundingClientRect().left", as: Double.self) >= 0)
    try browser.press("j")
    #expect(try active() == "a1")
    for key in ["j", "ArrowRight"] { try browser.press(key) }
    #expect(try active() == "a3")
    try browser.press("k")
    #expect(try active() == "a2")
    #expect(try browser.evaluate("getComputedStyle(document.activeElement).outlineStyle", as: String.self) == "solid")
    try browser.press("ArrowDown")
    let column = try browser.evaluate(
      "document.activeElement.getBoundingClientRect().x == document.querySelector('#a2').getBoundingClientRect().x",
      as: Bool.self)
    #expect(try column && active() != "a2")
    try browser.evaluate("document.querySelector('#a3').focus()")
    try browser.press("Enter")
    #expect(try browser.evaluate("document.querySelector('#view').open", as: Bool.self))
    #expect(
      try browser.evaluate("document.querySelector('#view .name').textContent", as: String.self)
        == ReportFixture.names[1])
    // The query beside the hit, each with its heat map.
    #expect(try browser.evaluate("document.querySelectorAll('#view img:not(.heat)').length", as: Int.self) == 2)
    #expect(try browser.evaluate("document.querySelectorAll('#view img.heat').length", as: Int.self) == 2)
    try browser.press("ArrowRight")
    #expect(
      try browser.evaluate("document.querySelector('#view .name').textContent", as: String.self)
        == ReportFixture.names[2])
    try browser.press("Escape")
    #expect(try !browser.evaluate("document.querySelector('#view').open", as: Bool.self))
    #expect(try active() == "a4")
    #expect(browser.complaints == [])
  }

  @Test func mapAnswers() throws {
    try browser.open(page)
    let dots = try browser.evaluate(
      """
      [...document.querySelectorAll(".map .dots g")].map(g => g.querySelector("path").getAttribute("d").split("M").length - 1)
      """, as: [Int].self)
    #expect(dots == [12, 12, 12, 12, 12])
    #expect(
      try browser.evaluate("[...document.querySelectorAll('.legend .count')].map(e => +e.textContent)", as: [Int].self)
        == dots)
    #expect(
      try browser.evaluate(
        "new Set([...document.querySelectorAll('.dots path')].map(p => getComputedStyle(p).stroke)).size", as: Int.self)
        >= 5)
    try browser.evaluate("document.querySelector('.stage').focus()")
    try browser.press("ArrowRight")
    let first = try browser.evaluate("document.querySelector('.cursor').getAttribute('cx')", as: String.self)
    try browser.press("ArrowRight")
    let second = try browser.evaluate("document.querySelector('.cursor').getAttribute('cx')", as: String.self)
    #expect(try #require(Int(second)) > #require(Int(first)))
    let name = try browser.evaluate("document.querySelector('.tip bdi').textContent", as: String.self)
    #expect(ReportFixture.names.contains(name))
    #expect(try browser.evaluate("document.querySelector('.tip').getBoundingClientRect().height", as: Double.self) > 60)
    try browser.press("+")
    #expect(
      try browser.evaluate("document.querySelector('.stage > svg').viewBox.baseVal.width", as: Double.self) == 5000)
    try browser.press("0")
    try browser.evaluate("document.querySelectorAll('.legend button')[1].click()")
    #expect(try browser.evaluate("getComputedStyle(document.querySelector('.dots g')).opacity", as: String.self) != "1")
    #expect(browser.complaints == [])
  }

  @Test func lightAndDark() throws {
    try browser.open(page)
    // Text that cannot be told from what is behind it: WCAG 2.2, 1.4.3.
    let faint = """
      (() => {
        const parts = c => c.match(/[\\d.]+/g).map(Number);
        const light = c => { const [r, g, b] = parts(c).map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
          return .2126 * r + .7152 * g + .0722 * b; };
        const behind = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
          if (parts(c)[3] !== 0) return c; } return "rgb(255, 255, 255)"; };
        const found = [];
        const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
        while (walk.nextNode()) {
          const e = walk.currentNode.parentElement;
          if (!walk.currentNode.data.trim() || !e.checkVisibility() || e.closest("script, style")) continue;
          const [a, b] = [getComputedStyle(e).color, behind(e)].map(light);
          const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
          if (ratio < 4.5) found.push(`${e.className} ${ratio}`);
        }
        return found;
      })()
      """
    // Dots on the map: 1.4.11.
    let dots = """
      (() => {
        const light = c => { const [r, g, b] = c.match(/[\\d.]+/g).map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
          return .2126 * r + .7152 * g + .0722 * b; };
        const paper = light(getComputedStyle(document.querySelector(".stage")).backgroundColor);
        return [0, 1, 2, 3, 4, 5, 6, 7].map(i => {
          const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
          path.setAttribute("class", `c${i}`);
          document.querySelector(".dots").append(path);
          const dot = light(getComputedStyle(path).stroke);
          path.remove();
          return (Math.max(dot, paper) + .05) / (Math.min(dot, paper) + .05);
        }).filter(ratio => ratio < 3).length;
      })()
      """
    var means: [Double] = []
    for dark in [false, true] {
      try browser.prefer(dark: dark)
      #expect(try browser.evaluate(faint, as: [String].self) == [])
      #expect(try browser.evaluate(dots, as: Int.self) == 0)
      let shot = try image(try browser.screenshot())
      #expect(shot.size == PixelSize(width: 1200, height: 900))
      #expect(Set(shot.pixels).count > 50)
      means.append(shot.pixels.reduce(0) { $0 + Double($1) } / Double(shot.pixels.count))
    }
    #expect(means[0] > 180 && means[1] < 90)
    // The switch says otherwise.
    try browser.evaluate("document.querySelector('#theme-light').click()")
    let shot = try image(try browser.screenshot())
    #expect(shot.pixels.reduce(0) { $0 + Double($1) } / Double(shot.pixels.count) > 180)
  }

  @Test func readsWithoutScripts() throws {
    try browser.disableScripts()
    try browser.open(page)
    #expect(try browser.evaluate("document.documentElement.className", as: String.self) == "")
    #expect(try browser.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)", as: Bool.self))
    #expect(
      try browser.evaluate("getComputedStyle(document.querySelector('.zoom')).display", as: String.self) == "none")
    let before = try browser.evaluate("document.querySelector('#p3').offsetWidth", as: Int.self)
    try browser.evaluate("document.querySelector('#a3').focus()")
    try browser.press("Enter")
    #expect(try browser.evaluate("document.querySelector('#p3').offsetWidth", as: Int.self) > before)
  }
}
