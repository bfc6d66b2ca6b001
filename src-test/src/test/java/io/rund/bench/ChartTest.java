package io.rund.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.rund.shim.wire.engine.Phase;
import java.io.StringReader;
import java.util.List;
import java.util.Map;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.w3c.dom.Document;
import org.xml.sax.InputSource;

class ChartTest {
  private static Document parsed(String svg) throws Exception {
    return DocumentBuilderFactory.newDefaultInstance()
        .newDocumentBuilder()
        .parse(new InputSource(new StringReader(svg)));
  }

  private static int count(Document svg, String element) {
    return svg.getElementsByTagName(element).getLength();
  }

  @Test
  void aDistributionRisesToOne() {
    Chart.Line line = Chart.Line.distribution("starts", List.of(3.0, 1.0, 2.0, 4.0));
    assertEquals(new Chart.Point(1, 0.25), line.points().getFirst());
    assertEquals(new Chart.Point(4, 1), line.points().getLast());
  }

  @Test
  void everyPointIsADotAndEveryLineALine() throws Exception {
    List<Chart.Point> points = List.of(new Chart.Point(1, 200), new Chart.Point(100, 2));
    List<Chart.Line> lines = List.of(new Chart.Line("a < b", points), new Chart.Line("c", points));
    for (boolean logarithmic : List.of(false, true)) {
      Document svg = parsed(ChartPlot.of(new Chart("title", "x", "y", logarithmic, lines)));
      assertEquals(4, count(svg, "circle"));
      assertEquals(2, count(svg, "polyline"));
    }
  }

  @Test
  void logarithmsOfNothingAreLeftOut() throws Exception {
    List<Chart.Point> points = List.of(new Chart.Point(1, -0.1), new Chart.Point(10, 2));
    List<Chart.Line> lines = List.of(new Chart.Line("memory", points));
    Document svg = parsed(ChartPlot.of(new Chart("title", "x", "y", true, lines)));
    assertEquals(1, count(svg, "circle"));
  }

  @Test
  void everyPhaseIsABar() throws Exception {
    Phase first = Phase.newBuilder().setName("first").setEndNanos(5_000_000).build();
    Phase second = first.toBuilder().setName("second").setStartNanos(4_000_000).build();
    // The ground is one too.
    assertEquals(3, count(parsed(TimelinePlot.of("start", List.of(second, first))), "rect"));
  }

  @Test
  void aGuestThatFailedIsTold() {
    assertEquals(Map.of("send", 1.5), GuestTimes.parse(List.of("send 1.5")));
    IllegalStateException e =
        assertThrows(
            IllegalStateException.class, () -> GuestTimes.parse(List.of("failed read: no")));
    assertEquals("the guest: failed read: no", e.getMessage());
  }
}
