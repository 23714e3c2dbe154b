// The two pictures of an execution. Each also says in words, for those who do not see it, what it shows.

import { createChart, createSeriesMarkers, LineSeries, LineStyle } from "/ui/static/vendor/lightweight-charts/lightweight-charts.standalone.production.mjs";
import uPlot from "/ui/static/vendor/uplot/uPlot.esm.js";
import { attribute } from "/ui/static/dom.js";
import { price, quantity, seconds, written } from "/ui/static/format.js";
import { colour } from "/ui/static/theme.js";

const MARGIN = 20;
const MOST = 1800;

/** The mid around the time of the execution, a mark for each fill, lines for arrival and limit. */
export class PriceChart {
  constructor(element) {
    this.element = element;
    this.chart = null;
    this.view = null;
    this.known = new Map();
  }

  draw(view, prices, now) {
    if (prices !== null) {
      this.known = new Map(prices.map(([second, mid]) => [second, Number(mid)]));
      this.#begin(view);
    }
    this.view = view;
    for (const child of view.children) {
      this.known.set(Math.floor(seconds(child.intended_at)), (Number(child.bid) + Number(child.ask)) / 2);
    }
    this.known.set(Math.floor(seconds(view.accepted_at)), Number(view.arrival_price));
    const from = seconds(view.accepted_at) - MARGIN;
    const to = view.closed_at ? seconds(view.closed_at) + MARGIN : now;
    const points = [...this.known].filter(([second]) => second >= from && second <= to).sort(([a], [b]) => a - b);
    this.step = Math.max(1, Math.ceil((to - from) / MOST));
    this.points = evenly(points, this.step);
    this.last = this.points.at(-1)?.time ?? 0;
    this.line.setData(this.points);
    this.marks.setMarkers(this.#fills(view));
    this.#lines(view);
    this.chart.timeScale().fitContent();
    const low = Math.min(...points.map(([, mid]) => mid)), high = Math.max(...points.map(([, mid]) => mid));
    attribute(this.element, "aria-label",
      `Price of ${view.symbol} between ${price(low)} and ${price(high)}, ${view.fills.length} fills, arrival at ${price(view.arrival_price)}`
      + (view.limit_price === null ? "" : `, limit at ${price(view.limit_price)}`));
  }

  /** One more price of a running execution. */
  tick(now, { bid, ask }) {
    if (this.chart === null) return;
    const value = (Number(bid) + Number(ask)) / 2, time = placed(now, this.step);
    this.known.set(Math.floor(now), value);
    if (time >= this.last) {
      for (let idle = this.last + this.step; this.last && idle < time; idle += this.step) this.line.update({ time: idle });
      this.line.update({ time, value });
      this.last = time;
      this.chart.timeScale().fitContent();
    }
  }

  repaint() {
    if (this.chart === null) return;
    this.chart.applyOptions(looks());
    this.line.applyOptions({ color: colour("muted") });
    this.marks.setMarkers(this.#fills(this.view));
    this.#lines(this.view);
  }

  #begin(view) {
    this.chart?.remove();
    const seen = [...view.children.flatMap(({ bid, ask }) => [bid, ask]), ...view.fills.map((fill) => fill.price)];
    const digits = Math.max(0, ...(seen.length ? seen : [view.arrival_price]).map((text) => (String(text).split(".")[1] ?? "").length));
    this.chart = createChart(this.element, {
      ...looks(),
      autoSize: true,
      handleScroll: false,
      handleScale: false,
      localization: { locale: "en-GB" },
    });
    const precision = Math.min(digits, 8);
    this.line = this.chart.addSeries(LineSeries, {
      color: colour("muted"), lineWidth: 2, priceLineVisible: false, lastValueVisible: true,
      priceFormat: { type: "price", precision, minMove: 1 / 10 ** precision },
      autoscaleInfoProvider: (original) => this.#range(original()),
    });
    this.marks = createSeriesMarkers(this.line, []);
    this.priceLines = [];
    this.chart.timeScale().subscribeSizeChange(() => this.chart.timeScale().fitContent());
  }

  /** The scale holds the arrival price too, and the limit where it is near. */
  #range(info) {
    if (info === null || this.view === null) return info;
    let { minValue, maxValue } = info.priceRange;
    const reach = Math.max(maxValue - minValue, maxValue * 0.0005);
    for (const level of [this.view.arrival_price, this.view.limit_price]) {
      const value = Number(level);
      if (level !== null && value > minValue - 2 * reach && value < maxValue + 2 * reach) {
        minValue = Math.min(minValue, value);
        maxValue = Math.max(maxValue, value);
      }
    }
    return { priceRange: { minValue, maxValue } };
  }

  #fills(view) {
    const color = colour(view.side === "BUY" ? "buy" : "sell");
    const first = this.points[0]?.time ?? 0;
    return view.fills.map((fill) => ({
      time: Math.max(first, placed(seconds(fill.at), this.step)),
      position: "atPriceMiddle", price: Number(fill.price), shape: "circle", color, size: 0.7,
    })).sort((a, b) => a.time - b.time);
  }

  #lines(view) {
    for (const line of this.priceLines) this.line.removePriceLine(line);
    this.priceLines = [];
    const level = (value, title, color) => {
      if (value !== null) {
        this.priceLines.push(this.line.createPriceLine({ price: Number(value), title, color: colour(color), lineWidth: 1, lineStyle: LineStyle.Dashed }));
      }
    };
    level(view.arrival_price, "arrival", "scheduled");
    level(view.limit_price, "limit", "bad");
  }
}

function placed(second, step) {
  return Math.floor(second / step) * step;
}

/**
 * Points [second, value], in order, on places `step` seconds apart, each with the last value known there, or with none.
 * The axis gives each place the same width, so without those that have no value it would not run with time.
 */
export function evenly(points, step) {
  const values = new Map(points.map(([second, value]) => [placed(second, step), value]));
  const places = [...values.keys()], spread = [];
  for (let time = places[0]; time <= places.at(-1); time += step) {
    spread.push(values.has(time) ? { time, value: values.get(time) } : { time });
  }
  return spread;
}

function looks() {
  const line = colour("line");
  return {
    layout: {
      background: { color: "transparent" }, textColor: colour("muted"),
      attributionLogo: false, // The page's foot has the notice and the link; the logo would need inline style.
      fontFamily: getComputedStyle(document.body).fontFamily,
    },
    grid: { vertLines: { color: line }, horzLines: { color: line } },
    rightPriceScale: { borderColor: line, scaleMargins: { top: 0.12, bottom: 0.12 } },
    timeScale: { borderColor: line, timeVisible: true, secondsVisible: true, tickMarkMaxCharacterLength: 11 },
    crosshair: { mode: 0 },
  };
}

/** Two stairs: what the schedule wanted filled by when, and what was filled. */
export class ScheduleChart {
  constructor(element) {
    this.element = element;
    this.plot = null;
    new ResizeObserver(() => this.#fit()).observe(element);
  }

  draw(view, now) {
    if (!view.plan) return;
    if (this.plot === null || this.id !== view.execution_id) this.#begin(view.execution_id);
    this.view = view;
    this.now = now;
    const { data, target } = stairs(view, now);
    this.plot.setData(data);
    attribute(this.element, "aria-label",
      `Schedule: ${quantity(String(target))} of ${quantity(view.quantity)} due by now, ${quantity(view.total_filled)} filled`);
  }

  repaint() {
    if (this.plot === null) return;
    this.#begin(this.id);
    this.draw(this.view, this.now);
  }

  #begin(id) {
    this.plot?.destroy();
    this.id = id;
    const axis = { stroke: colour("muted"), grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line"), width: 1 }, font: "12px system-ui" };
    const stepped = uPlot.paths.stepped({ align: 1 });
    this.plot = new uPlot({
      ...this.#size(),
      padding: [null, 30, null, null],
      legend: { show: false },
      cursor: { show: false },
      tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
      scales: { x: { time: true }, y: { range: (_, __, most) => [0, most * 1.05 || 1] } },
      axes: [{ ...axis, values: (_, times) => times.map((at) => new Date(at * 1000).toISOString().slice(11, 19)), space: 76 }, { ...axis, values: (_, amounts) => amounts.map(written), size: (_, labels) => 18 + 7.5 * Math.max(3, ...(labels ?? []).map((label) => label.length)) }],
      series: [
        {},
        { stroke: colour("scheduled"), width: 2, dash: [6, 4], paths: stepped, points: { show: false } },
        { stroke: colour("accent"), width: 3, paths: stepped, points: { show: false }, fill: colour("good-ground") },
      ],
    }, [[], [], []], this.element);
  }

  #size() {
    return { width: Math.max(this.element.clientWidth, 120), height: Math.max(this.element.clientHeight, 120) };
  }

  #fit() {
    this.plot?.setSize(this.#size());
  }
}

/** The points of both stairs on one axis: [times, scheduled, filled], and what is due now. What was filled stays so. */
export function stairs(view, now) {
  const { plan } = view;
  const start = seconds(plan.start_at), interval = Number(plan.interval_seconds);
  const accepted = seconds(view.accepted_at);
  const end = view.closed_at ? seconds(view.closed_at) : now;
  const delay = (index) => (plan.delays?.length ? Number(plan.delays[index % plan.delays.length]) : 0);
  const due = plan.slices.map((slice, index) => [start + index * interval + delay(index), Number(slice)]);
  const fills = view.fills.map((fill) => [seconds(fill.at), Number(fill.quantity)]).sort(([a], [b]) => a - b);
  const last = Math.max(end, due.at(-1)[0] + interval);
  const times = [...new Set([accepted, end, last, ...due.map(([at]) => at), ...fills.map(([at]) => at)])].sort((a, b) => a - b);
  const sum = (steps, at) => steps.reduce((total, [when, size]) => (when <= at ? total + size : total), 0);
  return {
    data: [times, times.map((at) => sum(due, at)), times.map((at) => (at > end && !view.closed_at ? null : sum(fills, at)))],
    target: Number(sum(due, end).toPrecision(12)),
  };
}
