/// The names of the kernel part's maps, as they stand in its object file.
public enum MapName {
  public static var control: StaticString { "controlMap" }
  public static var dates: StaticString { "datesMap" }
  public static var index: StaticString { "indexMap" }
  public static var arena: StaticString { "arenaMap" }
  public static var connections: StaticString { "connectionsMap" }
  public static var listeners: StaticString { "listenersMap" }
  public static var sites: StaticString { "sitesMap" }
  public static var allowed: StaticString { "allowedMap" }
  public static var denied: StaticString { "deniedMap" }
  public static var routes: StaticString { "routesMap" }
  public static var interfaces: StaticString { "interfacesMap" }
  public static var counters: StaticString { "countersMap" }
  public static var events: StaticString { "eventsMap" }
  public static var accessEvents: StaticString { "accessEventsMap" }
}
