package io.rund.arch;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import java.util.Arrays;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/**
 * The core knows nobody; adapters know the core and never each other; only the engine knows all.
 */
class DependencyDirectionTest {
  private static final String CORE = "io.rund.core..";
  private static final String KVM = "io.rund.kvm..";
  private static final String AGENT = "io.rund.agent..";
  private static final String NETWORK = "io.rund.network..";
  private static final String ENGINE = "io.rund.shim..";
  private static final String TESTS = "io.rund.(bench|e2e|arch)..";

  private static JavaClasses classes;

  @BeforeAll
  static void load() {
    classes =
        new ClassFileImporter()
            .withImportOption(new ImportOption.DoNotIncludeTests())
            .importPackages("io.rund");
    for (String root : new String[] {CORE, KVM, AGENT, NETWORK}) {
      String name = root.replace("..", "");
      assertTrue(
          classes.stream().anyMatch(c -> c.getPackageName().startsWith(name)),
          "no classes under " + name + " were found: the rules below would hold for nothing");
    }
  }

  @Test
  void theCoreDependsOnNothingOfOurs() {
    refuse(CORE, KVM, AGENT, NETWORK, ENGINE);
  }

  @Test
  void theHypervisorKnowsOnlyTheCore() {
    refuse(KVM, AGENT, NETWORK, ENGINE);
  }

  @Test
  void theAgentsClientKnowsOnlyTheCore() {
    refuse(AGENT, KVM, NETWORK, ENGINE);
  }

  @Test
  void theNetworkKnowsOnlyTheCore() {
    refuse(NETWORK, KVM, AGENT, ENGINE);
  }

  @Test
  void nothingDependsOnTests() {
    refuse("io.rund..", TESTS);
  }

  @Test
  void thePackagesOfTheHypervisorHaveNoCycles() {
    slices().matching("io.rund.kvm.(*)..").should().beFreeOfCycles().check(classes);
  }

  private static void refuse(String from, String... to) {
    noClasses()
        .that()
        .resideInAPackage(from)
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage(to)
        .because("arrows point down only: " + from + " may not know " + Arrays.toString(to))
        .check(classes);
  }
}
